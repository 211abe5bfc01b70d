"""The HTTP service: a voice note and its chat in, one voice out (`cse serve`)."""
