"""What a bot keeps and for how long: every limit, in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields

from cse.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class BotSettings:
    """Limits of a bot. How long recordings may be and how long the work may take is in `cse.service.settings`.

    Attributes:
        max_messages: The last messages of a chat that are kept.
        max_characters: Of one message.
        keep_h: After how many hours a message is forgotten.
        max_chats: When there are more, those are forgotten that were quiet for longest.
        max_file_mb: The largest voice note; Telegram lets bots download 20 MB.
        max_queued: Voice notes of one chat that wait for their answer.
        offer_min: For how many minutes the other voices of a recording can be asked for.
        max_offers_mb: Of the voices that can be asked for, in all chats together; the oldest go first.
        max_samples_mb: Of the voices that are remembered where `/remember on` asked for it, in all chats together.
        min_sample_probability: What an extracted voice needs to be remembered.
        min_sample_s: How long it has to be.
        patience_s: How long to go on trying when the messenger asks to wait or does not answer.

    Raises:
        ConfigError: A limit is not above 0.

    >>> BotSettings(max_messages=20).max_file_mb
    20.0
    """

    max_messages: int = 50
    max_characters: int = 1000
    keep_h: float = 24.0
    max_chats: int = 1000
    max_file_mb: float = 20.0
    max_queued: int = 5
    offer_min: float = 10.0
    max_offers_mb: float = 128.0
    max_samples_mb: float = 64.0
    min_sample_probability: float = 0.9
    min_sample_s: float = 2.0
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ConfigError(f"{field.name}: got {value}, expected more than 0")
