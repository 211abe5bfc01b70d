"""Pretrained encoders that turn text or a voice into vectors: models read cues from them, selection scores with them.

Importing this loads none of them; building one does, or using it.
"""
