"""How large a chat may be. Beyond it the error names the limit: a chat export is read from strangers too."""

from __future__ import annotations

MAX_FILE_BYTES = 4 * 2**30  # of one file, unpacked
MAX_MEMORY_BYTES = 50 * 2**20  # of a text that comes as one piece: a string, or standard input
MAX_MESSAGE_CHARACTERS = 8 * 2**20  # of one line, one message, or one JSON value
MAX_NESTING = 100  # lists and objects in one another, in one message
MAX_MEMBERS = 200_000  # files in a ZIP
MAX_RATIO = 200  # unpacked to packed, beyond the first 10 MB
