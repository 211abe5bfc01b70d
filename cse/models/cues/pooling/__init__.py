"""How the hidden states of a language model become the K tokens of a text cue: one class per file."""
