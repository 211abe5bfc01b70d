"""Bots in messengers: what they remember, how they decide and what they say; one package for each messenger."""
