"""The bot without its messenger: what it remembers, does and answers.

What comes in is noted at once and in the order in which it came; what takes time is done in a line for each chat.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from cse.bots import wording
from cse.bots.answer import Answer, answer_to
from cse.bots.chats import Chats
from cse.bots.lines import Lines, Work, trace_of
from cse.bots.messenger import Button, ChatGoneError, Messenger, MessengerError, Note, TooLargeError
from cse.bots.settings import BotSettings
from cse.bots.voices import Offers, Samples, Taken
from cse.chat import ChatMessage, Context
from cse.errors import HistoryError
from cse.service.errors import ServiceError
from cse.service.messages import Message
from cse.service.request import ExtractionRequest
from cse.service.service import Service
from cse.service.settings import MB

log = logging.getLogger("cse.bots")


@dataclass(frozen=True, kw_only=True)
class _Question:
    """A voice note with what was known and agreed on when it came.

    Attributes:
        note: The voice note.
        context: What was said before it.
        quiet: Whether nobody is told what they did not ask for.
        teaches: Whether its voice may be remembered.
    """

    note: Note
    context: Context
    quiet: bool
    teaches: bool

    @property
    def chat(self) -> str:
        return self.note.message.chat_id or ""


class Assistant:
    """Answers voice notes in chats that asked for it.

    Methods return at once. They are called in the event loop, in the order in which things happened.

    Args:
        settings: What it keeps.
        service: Reads and extracts, in processes of its own.
        messenger: Where the chats are.
    """

    def __init__(self, *, settings: BotSettings, service: Service, messenger: Messenger) -> None:
        self._settings = settings
        self._service = service
        self._messenger = messenger
        self._chats = Chats(settings=settings, forgotten=self.forget)
        self._offers = Offers(settings=settings)
        self._samples = Samples(settings=settings)
        # beside voice notes there are short answers, for which there is room too
        self._lines = Lines(max_waiting=4 * settings.max_queued)

    def start(self, chat: str, *, group: bool, sees_all: bool, reply_to: str | None) -> None:
        """Somebody wants to be answered in a chat: say what is kept of it from now on."""
        if self._chats.open(chat):
            self._say(
                chat, wording.welcome(self._settings, group=group, sees_all=sees_all), reply_to=reply_to
            )
        else:
            self._say(chat, wording.ALREADY_STARTED, reply_to=reply_to)

    def stop(self, chat: str, *, reply_to: str | None) -> None:
        """Forget a chat at once, with what is being done for it."""
        known = self._chats.is_open(chat)
        self.forget(chat)
        self._say(chat, wording.STOPPED if known else wording.NOTHING_TO_STOP, reply_to=reply_to)

    def forget(self, chat: str) -> None:
        """Forget a chat without a word."""
        self._chats.forget(chat)
        self._offers.forget(chat)
        self._samples.forget(chat)
        self._lines.cancel(chat)
        self._lines.cancel(_buttons_of(chat))

    def rename(self, old: str, new: str) -> None:
        """A chat has another id; what it waits for is lost."""
        self._chats.rename(old, new)
        self.forget(old)

    def status(self, chat: str, *, reply_to: str | None) -> None:
        """Say what is kept of a chat."""
        text = wording.status(
            self._settings,
            started=self._chats.is_open(chat),
            texts=self._chats.texts(chat),
            waiting=self._lines.counted(chat),
            remembers=self._samples.wanted(chat),
            voices=self._samples.count(chat),
        )
        self._say(chat, text, reply_to=reply_to)

    def help(self, chat: str, *, reply_to: str | None) -> None:
        """Say what there is."""
        self._say(chat, wording.HELP, reply_to=reply_to)

    def remember(self, chat: str, wanted: bool | None, *, reply_to: str | None) -> None:
        """Remember voices from now on, or forget them; None asks whether they are."""
        if not self._chats.is_open(chat):
            self._say(chat, wording.NOT_STARTED, reply_to=reply_to)
            return
        if wanted:
            self._samples.want(chat)
        elif wanted is not None:
            self._samples.forget(chat)
        text = wording.REMEMBERING if self._samples.wanted(chat) else wording.NOT_REMEMBERING
        self._say(chat, text, reply_to=reply_to)

    def message(self, message: ChatMessage) -> None:
        """Somebody said something, or corrected it."""
        self._chats.add(message)

    def note(self, note: Note, *, asked: bool, group: bool, reply_to: str | None) -> None:
        """Answer a voice note.

        Args:
            note: That one; if it is new, `message` was told about it.
            asked: Whether somebody asked for it.
            group: Whether it is in a group, where nobody is told what they did not ask for.
            reply_to: The message that asks.
        """
        chat = note.message.chat_id or ""
        if not self._chats.is_open(chat):
            if asked or not group:
                self._say(chat, wording.NOT_STARTED, reply_to=reply_to)
        elif (refusal := self._refusal(note)) is not None:
            self._say(chat, refusal, reply_to=reply_to)
        else:
            question = _Question(
                note=note,
                context=self._chats.context(note.message),  # now: what follows is none of it
                quiet=group and not asked,
                teaches=self._samples.wanted(chat),
            )
            self._put(chat, chat, lambda: self._answer(question), counts=True)

    def no_note(self, chat: str, *, reply_to: str | None) -> None:
        """Somebody asked for a voice, but not of which recording."""
        self._say(chat, wording.NO_NOTE, reply_to=reply_to)

    def press(self, chat: str, key: str) -> str | None:
        """Send the voice that somebody asked for by a button; the answer is why not, where that is so."""
        taken = self._offers.take(key, chat=chat)
        if taken is None or not self._put(_buttons_of(chat), chat, lambda: self._send_next(chat, taken)):
            return wording.OFFER_GONE
        return None

    def sweep(self) -> None:
        """Forget what is too old; to be called now and then."""
        self._chats.sweep()
        self._offers.sweep()

    async def finish(self, limit_s: float) -> bool:
        """Do what was begun; False if that took too long and the rest was dropped."""
        return await self._lines.drain(limit_s)

    def _refusal(self, note: Note) -> str | None:
        """Why a voice note is not even fetched."""
        if note.size_bytes is not None and note.size_bytes > self._settings.max_file_mb * MB:
            return wording.too_large(self._settings)
        if note.duration_s is not None and note.duration_s > self._service.settings.max_duration_s:
            return wording.too_long(self._service.settings)
        if self._lines.counted(note.message.chat_id or "") >= self._settings.max_queued:
            return wording.TOO_MANY
        return None

    async def _answer(self, question: _Question) -> None:
        """Fetch, extract, decide, send."""
        note, chat = question.note, question.chat
        try:
            extracted = await self._extract(note, question.context)
        except TooLargeError:
            await self._send(chat, wording.too_large(self._settings), reply_to=note.message.id)
        except MessengerError:
            await self._send(chat, wording.UNREACHABLE, reply_to=note.message.id)
        except (ServiceError, HistoryError) as error:
            code = error.code if isinstance(error, ServiceError) else "invalid_history"
            log.info("a voice note could not be answered: %s", code)
            await self._send(chat, wording.failed(code), reply_to=note.message.id)
        except Exception as error:
            log.error("%s", trace_of(error))
            await self._send(chat, wording.MISTAKE, reply_to=note.message.id)
        else:
            answer = answer_to(extracted, remembers=self._samples.wanted(chat))
            if answer.worthwhile or not question.quiet:
                await self._tell(question, answer)

    async def _extract(self, note: Note, context: Context) -> Message:
        chat, sender = note.message.chat_id or "", note.message.sender_id
        with self._service.admission.enter() as ticket:  # before the file takes memory
            file = await self._messenger.fetch(note.file, max_bytes=round(self._settings.max_file_mb * MB))
            request = _request(file, context, self._samples.sample(chat, sender))
            wait_limit_s = self._service.settings.wait_limit_s
            outcome = await self._service.extract(request, ticket, wait_limit_s=wait_limit_s)
        return outcome.answer

    async def _tell(self, question: _Question, answer: Answer) -> None:
        message, chat = question.note.message, question.chat
        reply_to = message.id
        key = self._offers.add(
            chat, note=reply_to or "", voices=answer.voices, first=1 if answer.sends_voice else 0
        )
        if not answer.sends_voice:
            button = None if key is None else Button(wording.HEAR_VOICE, key)
            await self._send(chat, answer.text, reply_to=reply_to, button=button)
            return
        best = answer.voices[0]
        if question.teaches:
            limit_s = self._service.settings.max_enrollment_s
            self._samples.learn(chat, message.sender_id, best, max_duration_s=limit_s)
        button = None if key is None else Button(wording.NEXT_VOICE, key)
        await self._messenger.send_voice(chat, best, answer.text, reply_to=reply_to, button=button)

    async def _send_next(self, chat: str, taken: Taken) -> None:
        button = None if taken.next is None else Button(wording.NEXT_VOICE, taken.next)
        caption = wording.next_voice(taken.number, taken.of, taken.voice.probability)
        await self._messenger.send_voice(chat, taken.voice, caption, reply_to=taken.note, button=button)

    def _say(self, chat: str, text: str, *, reply_to: str | None) -> None:
        self._put(chat, chat, lambda: self._send(chat, text, reply_to=reply_to))

    def _put(self, line: str, chat: str, work: Work, *, counts: bool = False) -> bool:
        """Do something for a chat when it is its turn; where the bot is not welcome any more, forget the chat."""

        async def guarded() -> None:
            try:
                await work()
            except ChatGoneError:
                self.forget(chat)
            except MessengerError as error:
                log.warning("an answer could not be sent: %s", error)

        return self._lines.put(line, guarded, counts=counts)

    async def _send(
        self, chat: str, text: str, *, reply_to: str | None, button: Button | None = None
    ) -> None:
        await self._messenger.send_text(chat, text, reply_to=reply_to, button=button)


def _request(file: bytes, context: Context, sample: bytes | None) -> ExtractionRequest:
    turns = [{"speaker": turn.speaker, "text": turn.text, "time": turn.time} for turn in context.turns]
    return ExtractionRequest(
        file=file,
        file_name=None,
        history=json.dumps(turns).encode(),
        history_format="turns",
        at=None,
        chat=None,
        enrollment=sample,
        target=context.target,
        response_format="json",
        audio_format="ogg",
        candidate_audio=True,
        on_absent="best",
    )


def _buttons_of(chat: str) -> str:
    """The line of what is asked for by buttons, which does not wait for voice notes."""
    return f"{chat} buttons"
