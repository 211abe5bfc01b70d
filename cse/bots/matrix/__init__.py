"""The Matrix bot: `cse bot matrix`."""
