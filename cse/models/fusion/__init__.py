"""Fusions: how a cue enters a backbone before each of its repeats. One instance a repeat, with its own weights."""
