"""Backbones: they look at the features of a mixture, (B, N, L), and return a mask for every talker, (B, S, N, L).

Each runs R repeats in a loop of its own, so that cues can enter between two repeats.
"""
