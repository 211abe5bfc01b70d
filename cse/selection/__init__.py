"""Choose among separated talkers: transcribe what they say, compare it with the conversation, compare voices.

Importing this loads none of the recognisers and models; building one does.
"""
