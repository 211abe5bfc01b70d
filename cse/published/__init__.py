"""Checkpoints of the paper's own code (Kim, Mira et al., CSE, ICASSP 2025), turned into those of `cse`."""
