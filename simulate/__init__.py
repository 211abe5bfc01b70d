"""Acoustics: rooms, ambient noise, levels, and the mixtures that are made with them."""
