"""Selectors: which of several voices the cues mean."""
