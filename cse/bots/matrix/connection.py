"""How the bot reaches its homeserver, and whom it follows into rooms."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from cse.bots import token
from cse.errors import ConfigError

TOKEN_VARIABLE = "CSE_MATRIX_TOKEN"
_TOKEN = re.compile(r"[!-~]{10,4000}")
_USER = re.compile(r"@[^\s:]+:[^\s:]\S*")


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How the bot reaches its homeserver.

    Attributes:
        homeserver: Its address, http or https.
        user: Who the bot is, e.g. @voices:example.org.
        token: The access token of that user.
        invited_by: Users (@ana:example.org) and servers (example.org) whose invitations are accepted; none: anybody's.

    Raises:
        ConfigError: `user` is no user id.

    >>> connection = Connection(homeserver="https://example.org", user="@voices:example.org", token="…",
    ...                         invited_by=("@ana:a.example", "b.example"))
    >>> [connection.follows(user) for user in ("@ana:a.example", "@ben:a.example", "@ben:b.example")]
    [True, False, True]
    """

    homeserver: str
    user: str
    token: str = field(repr=False)
    invited_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _USER.fullmatch(self.user):
            raise ConfigError(f"--user: got {self.user!r}, expected a user id like @voices:example.org")

    def follows(self, user: str) -> bool:
        """Whether an invitation of this user is accepted."""
        server = user.partition(":")[2]
        return not self.invited_by or user in self.invited_by or server in self.invited_by


def read_token(path: str | Path | None) -> str:
    """Read the token; see `cse.bots.token.read_token`."""
    return token.read_token(
        path,
        variable=TOKEN_VARIABLE,
        form=_TOKEN,
        expected="the access token of a Matrix user; logging in at its homeserver gives one",
    )
