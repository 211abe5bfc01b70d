"""The ZIP of a Slack export: a folder for each channel, a file for each day, and a list of the people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cse.chat.fields import name_of, object_of
from cse.chat.json_stream import ITEM, Cursor, walk
from cse.chat.slack import Slack, profile_name
from cse.chat.source import TextFile

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.json")
_MAX_USERS = 100_000


def channel_of(member: str) -> str | None:
    """The channel that a file of the ZIP belongs to.

    >>> channel_of("My export/general/2024-03-01.json"), channel_of("users.json")
    ('general', None)
    """
    folder, _, day = member.rpartition("/")
    return (folder.rpartition("/")[2] or None) if _DAY.fullmatch(day) else None


def days_of(members: Sequence[TextFile]) -> list[tuple[TextFile, Slack]]:
    """The days of all channels, oldest first, each with what reads it; none if this is no Slack export."""
    days = [(file, channel) for file in members if (channel := channel_of(file.member or "")) is not None]
    if not days:
        return []
    users = {}
    for file in members:
        if (file.member or "").rpartition("/")[2] == "users.json":
            users = dict(_users(file))
    return [(file, Slack(users=users, chat=channel)) for file, channel in days]


def _users(file: TextFile) -> Iterator[tuple[str, str]]:
    steps = walk(Cursor(file.chunks()), {()})
    for number, (path, _, value) in enumerate(steps):
        if number > _MAX_USERS:
            return
        user = object_of(value)
        name = profile_name(object_of(user.get("profile"))) or profile_name(user)
        if path == ITEM and name is not None and (key := name_of(user.get("id"))) is not None:
            yield key, name
