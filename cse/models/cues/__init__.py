"""Cues: what tells a network which talker is meant, as tokens (B, K, D) with a mask (B, K)."""
