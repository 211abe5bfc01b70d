"""What happens in rooms, as it concerns the bot."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

import nio

from cse.bots import wording
from cse.bots.assistant import Assistant
from cse.bots.lines import Lines, Work
from cse.bots.matrix.connection import Connection
from cse.bots.matrix.homeserver import Homeserver
from cse.bots.matrix.incoming import answered_by, chat_message, command_in, note_in, reaction_in
from cse.bots.matrix.messenger import MatrixMessenger
from cse.bots.messenger import MessengerError, Note
from cse.bots.seen import Seen

log = logging.getLogger("cse.bots")
_MAX_WAITING = 1000  # events of one room, of which most wait for nothing


class Handlers:
    """Tells the assistant what happened in each room, in that order; rooms do not wait for each other.

    Args:
        assistant: Remembers and answers.
        messenger: Shows buttons.
        homeserver: Joins and leaves rooms.
        connection: Whom to follow into rooms.
    """

    def __init__(
        self,
        *,
        assistant: Assistant,
        messenger: MatrixMessenger,
        homeserver: Homeserver,
        connection: Connection,
    ) -> None:
        self._assistant = assistant
        self._messenger = messenger
        self._homeserver = homeserver
        self._connection = connection
        self._seen = Seen()
        self._rooms: set[str] = set()  # in which the bot is
        self._accepted: set[str] = set()  # to which it was invited while it ran
        self._leaving: set[str] = set()
        self._events = Lines(max_waiting=_MAX_WAITING)
        self._errands = Lines(max_waiting=_MAX_WAITING)

    def take(self, happened: nio.SyncResponse, *, first: bool) -> None:
        """Begin to handle what happened.

        Args:
            happened: In all rooms.
            first: Whether it is from before the bot was started, so that it answers nothing of it.
        """
        rooms = happened.rooms
        for room, invitation in rooms.invite.items():
            self._invited(room, invitation.invite_state)
        for room in rooms.leave:
            self._left(room)
        for room, info in rooms.join.items():
            self._joined(room, info.timeline.events, first=first)

    async def finish(self, limit_s: float) -> None:
        """Tell the assistant the last of what happened."""
        await self._events.drain(limit_s)

    async def finish_errands(self, limit_s: float) -> None:
        """Acknowledge the last buttons, leave the last rooms."""
        await self._errands.drain(limit_s)

    def _invited(self, room: str, state: Sequence[Any]) -> None:
        by = next(
            (
                event.sender
                for event in state
                if isinstance(event, nio.InviteMemberEvent)
                and (event.state_key, event.membership) == (self._connection.user, "invite")
            ),
            None,
        )
        if by is not None and self._connection.follows(by):
            self._accepted.add(room)
            self._run(room, lambda: self._homeserver.join(room))
        else:
            self._run(room, lambda: self._homeserver.leave(room))

    def _left(self, room: str) -> None:
        self._rooms.discard(room)
        self._accepted.discard(room)
        self._events.cancel(room)
        self._assistant.forget(room)
        self._homeserver.forget(room)

    def _joined(self, room: str, events: Sequence[Any], *, first: bool) -> None:
        new = room not in self._rooms
        self._rooms.add(room)
        if self._homeserver.room(room).encrypted:
            self._turn_away(room)
            return
        if first:
            return
        if new:
            events = self._since_joining(events)
            if room in self._accepted:
                self._assistant.status(room, reply_to=None)  # says how to begin
        for event in events:
            source = event.source
            if source.get("sender") != self._connection.user and self._seen.is_new(source.get("event_id")):
                self._events.put(room, functools.partial(self._handle, room, source))

    def _since_joining(self, events: Sequence[Any]) -> Sequence[Any]:
        """What came after the bot: homeservers also give what was said before."""
        places = [
            place
            for place, event in enumerate(events)
            if isinstance(event, nio.RoomMemberEvent)
            and (event.state_key, event.membership) == (self._connection.user, "join")
        ]
        return events[places[-1] + 1 :] if places else events

    def _turn_away(self, room: str) -> None:
        """Leave a room that is encrypted, with a word; if that fails, again when something happens in it."""
        self._events.cancel(room)
        self._assistant.forget(room)
        if room in self._leaving:
            return
        self._leaving.add(room)

        async def leave() -> None:
            try:
                await self._messenger.send_text(room, wording.ENCRYPTED, reply_to=None, button=None)
            finally:
                try:
                    await self._homeserver.leave(room)
                finally:
                    self._leaving.discard(room)

        self._run(room, leave)

    async def _handle(self, room: str, event: dict[str, Any]) -> None:
        if (reaction := reaction_in(event)) is not None:
            self._press(room, *reaction)
            return
        message = chat_message(event, room=room, name=self._name(room, event.get("sender")))
        if message is None:
            return
        if (command := command_in(message)) is not None:
            await self._command(room, event, message.id, *command)
            return
        self._assistant.message(message)
        group = self._is_group(room)
        if (note := note_in(event, message, asked=not group)) is not None:
            self._assistant.note(note, asked=False, group=group, reply_to=message.id)

    async def _command(
        self, room: str, event: dict[str, Any], reply_to: str | None, name: str, word: str
    ) -> None:
        if name == "start":
            self._assistant.start(room, group=self._is_group(room), sees_all=True, reply_to=reply_to)
        elif name == "stop":
            self._assistant.stop(room, reply_to=reply_to)
        elif name == "status":
            self._assistant.status(room, reply_to=reply_to)
        elif name == "remember":
            self._assistant.remember(room, {"on": True, "off": False}.get(word), reply_to=reply_to)
        elif name == "extract":
            note = await self._asked_about(room, answered_by(event))
            if note is None:
                self._assistant.no_note(room, reply_to=reply_to)
            else:
                self._assistant.note(note, asked=True, group=self._is_group(room), reply_to=reply_to)
        else:
            self._assistant.help(room, reply_to=reply_to)

    async def _asked_about(self, room: str, event: str | None) -> Note | None:
        """The recording in an event that somebody replied to; the event itself did not come with the reply."""
        if event is None:
            return None
        try:
            source = await self._homeserver.event(room, event)
        except MessengerError as error:
            log.info("a voice note could not be looked up: %s", error)
            return None
        message = chat_message(source, room=room, name=self._name(room, source.get("sender")))
        return None if message is None else note_in(source, message, asked=True)

    def _press(self, room: str, message: str, symbol: str) -> None:
        pressable = self._messenger.pressed(room, message, symbol)
        if pressable is not None:
            notice = self._assistant.press(room, pressable.key)
            self._run(room, lambda: self._messenger.acknowledge(room, pressable, notice))

    def _run(self, room: str, work: Work) -> None:
        """Do something beside everything else."""

        async def quietly() -> None:
            try:
                await work()
            except MessengerError as error:
                log.info("an errand in a room failed: %s", error)

        self._errands.put(room, quietly)

    def _name(self, room: str, user: object) -> str | None:
        return self._homeserver.room(room).user_name(user) if isinstance(user, str) else None

    def _is_group(self, room: str) -> bool:
        return self._homeserver.room(room).joined_count > 2
