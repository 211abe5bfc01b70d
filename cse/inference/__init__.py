"""How each family of models gets from a mixture and its cues to voices and a choice among them."""
