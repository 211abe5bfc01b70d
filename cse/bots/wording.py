"""What a bot says. Nothing else in a bot holds words for people.

Commands begin with a slash here; `with_prefix` writes them as another messenger wants them.
"""

from __future__ import annotations

import re

from cse.bots.settings import BotSettings
from cse.service.settings import Settings

NEXT_VOICE = "Not this one → next voice"
HEAR_VOICE = "Let me hear the likeliest voice"
NOT_STARTED = "I do not keep anything of this chat yet. Type /start, and I tell you what I would keep."
NO_NOTE = "Reply to a voice note with /extract, and I look for the voice in it that continues this chat."
ALREADY_STARTED = "I am already listening in this chat. /status says what I keep, /stop makes me forget it."
STOPPED = "Done: I have forgotten everything of this chat. /start begins anew."
NOTHING_TO_STOP = "I keep nothing of this chat."
OFFER_GONE = "I no longer have that voice. Reply to the voice note with /extract to look again."
ONE_VOICE = "I hear only one voice in this recording; there is nothing to take apart."
TOO_MANY = "That is a lot at once. I answer those before it first; please send this one again afterwards."
UNREACHABLE = "I could not fetch this voice note from the messenger. Please send it again."
MISTAKE = "Something went wrong on my side, I am sorry. Please try again."
HELP = (
    "Where several people talk at once in a voice note, I send back the one voice that continues this chat. "
    "I tell by the messages before it.\n\n"
    "/start: begin to keep the last messages of this chat\n"
    "/extract: as a reply to a voice note, look for the voice in it\n"
    "/remember on: also keep how senders sound; /remember off forgets it\n"
    "/status: what I keep of this chat\n"
    "/stop: forget this chat at once"
)
ENCRYPTED = (
    "This room is encrypted from end to end, and I cannot read that: I would see neither what is written here nor the "
    "voice notes. So I leave again; I have kept nothing. You can invite me to a room without encryption, but there, "
    "those who run its servers can read along."
)
REMEMBERING = (
    "From now on I also keep, in memory only, the last voice of each sender of which I was sure, and compare the next "
    "ones with it, until I am restarted. A voice can tell who somebody is: please ask the others first. /remember off "
    "forgets them."
)
NOT_REMEMBERING = "I keep no voices of senders in this chat."
_COMMAND = re.compile(r"(?<![^\s(])/(?=(?:start|stop|status|help|remember|extract)\b)")
_WORDS = ((0.95, "almost certainly"), (0.85, "very likely"), (0.65, "probably"), (0.5, "perhaps"))
_ERRORS = {
    "audio_too_long": "This recording is too long for me. Please send a shorter one.",
    "invalid_audio": "I cannot read this recording: it is damaged, silent, or no audio that I know.",
    "unsupported_format": "I cannot read recordings of this kind. A voice note of the messenger itself works.",
    "busy": "I have too much to do at the moment. Please try again in a minute.",
    "shutting_down": "I am about to be restarted. Please send it again in a few minutes.",
    "time_limit": "This took me too long, and I gave up. A shorter recording may work.",
    "invalid_history": "I could not make sense of the messages before this voice note.",
}


def with_prefix(text: str, prefix: str) -> str:
    """The same words for a messenger in which commands do not begin with a slash.

    >>> with_prefix("Type /start or 1/2 (/help).", "!")
    'Type !start or 1/2 (!help).'
    """
    return _COMMAND.sub(prefix, text)


def by_reaction(label: str, symbol: str) -> str:
    """How to press a button where there are none.

    >>> by_reaction("next voice", "▶️")
    'React with ▶️ for: next voice'
    """
    return f"React with {symbol} for: {label}"


def welcome(settings: BotSettings, *, group: bool, sees_all: bool) -> str:
    """What is kept of a chat from now on."""
    text = (
        "Hello. When a voice note with several people in it comes, I send back the one voice that continues this chat. "
        "For that I keep "
        f"the last {settings.max_messages} messages of this chat, for at most {settings.keep_h:g} hours: in memory "
        "only, nothing on disk, nothing sent elsewhere, no recordings but the voices that I offer, for "
        f"{settings.offer_min:g} minutes. What was written before now I cannot see. When I am restarted, everything is "
        "forgotten, and you have to type /start again. /stop forgets at once, /help says what else I can do."
    )
    if group and sees_all:
        text += (
            "\n\nThis is a group: I see all messages in it from now on, so please make sure that everybody here "
            "agrees. Anybody may type /stop."
        )
    elif group:
        text += (
            "\n\nThis is a group, and the messenger shows me only commands and replies to me (privacy mode), so that I "
            "know little of what was said and see no voice notes: reply to one with /extract. An administrator who "
            "makes me an administrator, or the bot's owner by /setprivacy, can change that."
        )
    return text


def status(
    settings: BotSettings, *, started: bool, texts: int, waiting: int, remembers: bool, voices: int
) -> str:
    """What is kept of a chat."""
    if not started:
        return NOT_STARTED
    lines = [
        f"Messages that I keep: {texts} of at most {settings.max_messages}, for {settings.keep_h:g} hours, in memory "
        "only.",
        f"Voice notes that I work on or that wait: {waiting}.",
        f"Voices of senders: {voices}." if remembers else "Voices of senders: none (/remember on).",
    ]
    return "\n".join(lines)


def likelihood(probability: float) -> str:
    """A probability in words and percent.

    >>> likelihood(0.934), likelihood(0.2), likelihood(0.999)
    ('very likely (93 %)', 'unlikely (20 %)', 'almost certainly (99 %)')
    """
    word = next((word for limit, word in _WORDS if probability >= limit), "unlikely")
    return f"{word} ({_percent(probability)})"


def found(probability: float, talkers: int) -> str:
    """Of the voice that is sent."""
    words = likelihood(probability)
    return f"{words[0].upper()}{words[1:]} the voice that continues this chat, of {talkers} that I hear."


def unsure(probability: float, talkers: int, *, turns: int, remembers: bool) -> str:
    """Why no voice is sent, and what would help."""
    return (
        f"I hear {talkers} voices and would rather not guess which one continues this chat: my best guess would be "
        f"right with a probability of {_percent(probability)}. {_what_helps(turns, remembers)}"
    )


def absent(talkers: int, *, turns: int, remembers: bool) -> str:
    """No voice is the right one."""
    voices = "voice does not seem" if talkers == 1 else f"{talkers} voices do not seem"
    return f"The {voices} to continue this chat. {_what_helps(turns, remembers)}"


def next_voice(number: int, of: int, probability: float) -> str:
    """Of a voice that was asked for."""
    return f"Voice {number} of {of}: {likelihood(probability)}."


def too_large(settings: BotSettings) -> str:
    """A file that is not even fetched."""
    return f"This file is too large for me: I take at most {settings.max_file_mb:g} MB."


def too_long(limits: Settings) -> str:
    """A recording that is not even fetched."""
    return f"This recording is too long for me: I take at most {limits.max_duration_s / 60:g} minutes."


def failed(code: str) -> str:
    """What the service refused, by its code."""
    return _ERRORS.get(code, MISTAKE)


def _percent(probability: float) -> str:
    """Never quite sure, in either way."""
    return f"{min(99, max(1, round(100 * probability)))} %"


def _what_helps(turns: int, remembers: bool) -> str:
    if turns == 0:
        return (
            "I have seen no messages before it, and they are what I go by. Forward here what was said before, and then "
            "the voice note once more."
        )
    text = "More of what was written before would help: forward it here, and then the voice note once more."
    if not remembers:
        text += " So would a sample of the voice: /remember on keeps those of which I am sure."
    return text
