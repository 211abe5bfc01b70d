"""Matrix as a messenger: the events by which the bot sends, and the files that it fetches."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from typing import Any
from urllib.parse import quote

from cse.bots import wording
from cse.bots.download import Downloads
from cse.bots.matrix.buttons import SYMBOL, Buttons, Pressable
from cse.bots.matrix.homeserver import Homeserver, RefusedError
from cse.bots.matrix.incoming import PREFIX
from cse.bots.matrix.voice_message import voice_message
from cse.bots.messenger import Button, ChatGoneError, MessengerError
from cse.bots.voices import Voice

log = logging.getLogger("cse.bots")
_FILE = re.compile(r"mxc://([A-Za-z0-9.:\[\]-]{1,255})/([A-Za-z0-9_-]{1,255})")
_GONE = ("M_FORBIDDEN", "M_NOT_FOUND")


class MatrixMessenger:
    """See `cse.bots.messenger.Messenger`. Chats are called by the id of their room, messages by that of their event.

    Args:
        homeserver: By which to send.
        downloads: Fetches files, with the access token in its headers.
        address: Of the homeserver.
    """

    def __init__(self, *, homeserver: Homeserver, downloads: Downloads, address: str) -> None:
        self._homeserver = homeserver
        self._downloads = downloads
        self._address = address.rstrip("/")
        self._buttons = Buttons()

    async def send_text(self, chat: str, text: str, *, reply_to: str | None, button: Button | None) -> None:
        """Send words, as a notice: to those, no bot answers."""
        text = wording.with_prefix(text, PREFIX)
        if button is not None:
            text += f"\n\n{wording.by_reaction(button.label, SYMBOL)}"
        event = await self._send(chat, {"msgtype": "m.notice", "body": text}, reply_to=reply_to)
        if button is None:
            return
        pressable = Pressable(button.key)
        self._buttons.add(chat, event, pressable)
        mark = {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": SYMBOL}}
        try:
            pressable.shown_by = await self._homeserver.send(
                chat, "m.reaction", mark, transaction=_transaction()
            )
        except RefusedError as refused:  # others may react all the same
            log.info("the bot may not react to its message: %s", refused)

    async def send_voice(
        self, chat: str, voice: Voice, caption: str, *, reply_to: str | None, button: Button | None
    ) -> None:
        """Send a voice message, and the words after it: few clients show words below one."""
        url = await self._homeserver.upload(voice.audio, name="voice.ogg", mime="audio/ogg")
        content = await asyncio.to_thread(voice_message, voice, url=url)  # decodes it, to draw it
        await self._send(chat, content, reply_to=reply_to)
        await self.send_text(chat, caption, reply_to=reply_to, button=button)

    async def fetch(self, file: str, *, max_bytes: int) -> bytes:
        """The content of a file, by its mxc address: from the homeserver only, which asks others."""
        found = _FILE.fullmatch(file)
        if found is None:
            raise MessengerError("download: no address")
        server, name = quote(found[1], safe=""), quote(found[2], safe="")
        address = f"{self._address}/_matrix/client/v1/media/download/{server}/{name}"
        return await self._downloads.fetch(address, max_bytes=max_bytes)

    def pressed(self, chat: str, message: str, symbol: str) -> Pressable | None:
        """What a reaction to a message presses, once."""
        return self._buttons.take(chat, message) if symbol == SYMBOL.rstrip("\ufe0f") else None

    async def acknowledge(self, chat: str, pressable: Pressable, notice: str | None) -> None:
        """Say why nothing comes, where that is so, and take the button away from below a message."""
        if notice is not None:
            await self.send_text(chat, notice, reply_to=None, button=None)
        if pressable.shown_by is not None:
            await self._homeserver.redact(chat, pressable.shown_by, transaction=_transaction())

    async def _send(self, chat: str, content: dict[str, Any], *, reply_to: str | None) -> str:
        if reply_to is not None:
            content = {**content, "m.relates_to": {"m.in_reply_to": {"event_id": reply_to}}}
        try:
            return await self._homeserver.send(chat, "m.room.message", content, transaction=_transaction())
        except RefusedError as refused:
            if refused.code in _GONE:
                raise ChatGoneError(refused.code) from None
            raise


def _transaction() -> str:
    """By which the homeserver knows an event that comes again."""
    return secrets.token_urlsafe(16)
