"""Messages as signal-cli writes them with `--output=json`, one a line, or as its REST service lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cse.chat.fields import file_of, media_kind, name_of, object_of, objects_of, text_of, utc_time
from cse.chat.json_stream import ITEM, Path
from cse.chat.message import ChatMessage, Kind
from cse.chat.pages import Pages


class SignalCli:
    """Reads the steps through a list of envelopes."""

    name = "signal"
    containers: frozenset[Path] = frozenset({()})
    pages = Pages()

    @staticmethod
    def claims(path: Path, item: object) -> bool:
        """Whether an item is an envelope, or a notice of JSON-RPC with one inside."""
        return path == ITEM and _envelope(item) is not None

    def read(self, path: Path, key: str | None, value: object) -> Iterator[ChatMessage]:
        """The messages in one step: none for receipts and for somebody typing."""
        envelope = _envelope(value)
        if envelope is None:
            return
        who = name_of(envelope.get("sourceUuid")) or _number(envelope)
        name = name_of(envelope.get("sourceName")) or _number(envelope) or who
        sent = object_of(
            object_of(envelope.get("syncMessage")).get("sentMessage")
        )  # from another device of ours
        for outer in (envelope, sent):
            edit = object_of(outer.get("editMessage"))
            data = object_of(edit.get("dataMessage")) or object_of(outer.get("dataMessage"))
            if outer is sent:
                data = data or sent
            if data:
                yield _message(
                    data,
                    sender_id=who,
                    sender=name,
                    edits=edit.get("targetSentTimestamp"),
                    envelope=envelope,
                    sent=sent,
                )


def _envelope(item: object) -> Mapping[str, Any] | None:
    fields = object_of(item)
    for inner in (
        fields,
        object_of(fields.get("params")),
        object_of(object_of(fields.get("params")).get("result")),
    ):
        if isinstance(inner.get("envelope"), dict):
            envelope: Mapping[str, Any] = inner["envelope"]
            return envelope
    return None


def _number(fields: Mapping[str, Any]) -> str | None:
    return name_of(fields.get("sourceNumber")) or name_of(fields.get("source"))


def _message(
    data: Mapping[str, Any], *, sender_id: str | None, sender: str | None, edits: object, envelope: Mapping[str, Any],
    sent: Mapping[str, Any],
) -> ChatMessage:  # fmt: skip
    group = object_of(data.get("groupInfo"))
    other = (
        name_of(sent.get("destinationUuid"))
        or name_of(sent.get("destinationNumber"))
        or name_of(sent.get("destination"))
    )
    time = data.get("timestamp") or envelope.get("timestamp")
    deleted = object_of(data.get("remoteDelete"))
    text = text_of(data.get("message"))
    kind, attachment = _attachment(data)
    if deleted:
        kind = "deleted"
    elif data.get("reaction") or (not text and group.get("type") == "UPDATE"):
        kind = "system"
    elif kind == "text" and not text:
        kind = "other"
    return ChatMessage(
        sender_id=sender_id,
        sender=sender,
        text=text,
        time=utc_time(time, per_second=1000),
        kind=kind,
        attachment=attachment,
        id=name_of(time),
        chat_id=name_of(group.get("groupId")) or other or sender_id,
        chat=name_of(group.get("groupName")) or (None if group else other or sender),
        replaces=name_of(edits) or name_of(deleted.get("timestamp")),
    )


def _attachment(data: Mapping[str, Any]) -> tuple[Kind, str | None]:
    if data.get("sticker") or data.get("contacts"):  # releases of 2021 write empty ones into every message
        return "other", None
    for item in objects_of(data.get("attachments")):
        file = file_of(item.get("filename")) or file_of(item.get("id"))
        kind = media_kind(item.get("contentType"), file)
        # Signal's voice notes have no name of their own
        voice = kind == "audio" and (item.get("voiceNote") is True or not item.get("filename"))
        return "voice" if voice else kind, file
    return "text", None
