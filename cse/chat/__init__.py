"""Chats as messaging apps export them, and the turns before a voice note.

>>> from cse.chat import build_context, open_chat_text
>>> export = open_chat_text("[01.03.24, 14:05:33] Ana: Where?\\n[01.03.24, 14:06:01] Ben: ‎<attached: note.opus>")
>>> export.format
'whatsapp'
>>> build_context(export.messages(), at="note.opus").turns
[Turn(text='Where?', speaker='Ana', time='2024-03-01T14:05:33')]
"""

from __future__ import annotations

from cse.chat.context import Context, build_context
from cse.chat.message import ChatMessage
from cse.chat.reading import context_of, parse_history, read_context, read_history, turns_of
from cse.chat.sniffing import ChatExport, open_chat, open_chat_text

__all__ = [
    "ChatExport",
    "ChatMessage",
    "Context",
    "build_context",
    "context_of",
    "open_chat",
    "open_chat_text",
    "parse_history",
    "read_context",
    "read_history",
    "turns_of",
]
