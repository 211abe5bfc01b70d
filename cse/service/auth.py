"""Who may use the service: bearer keys, and without keys the programs of this machine, but no web page."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from starlette.requests import HTTPConnection

from cse.errors import ConfigError
from cse.service.errors import ServiceError


def read_api_keys(path: str | Path) -> tuple[str, ...]:
    """Keys from a file, one a line; blank lines and those that begin with # do not count.

    Raises:
        ConfigError: The file cannot be read, or holds no key.
    """
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8 text"
        raise ConfigError(
            f"{path}: cannot read the API keys: {reason}; expected a file with one a line"
        ) from None
    keys = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not keys:
        raise ConfigError(f"{path}: got no API key, expected one a line; make one with: openssl rand -hex 32")
    return keys


class Doorkeeper:
    """Lets a request in, and says on whose behalf it comes.

    Args:
        api_keys: Of which a request must show one as `Authorization: Bearer …`; empty asks for none.
        allowed_hosts: Names under which the service may be addressed where there are no keys; empty allows all.
    """

    def __init__(self, *, api_keys: tuple[str, ...], allowed_hosts: tuple[str, ...]) -> None:
        self._keys = [_digest(key) for key in api_keys]
        self._hosts = frozenset(allowed_hosts)

    def admit(self, request: HTTPConnection) -> str:
        """A name for the caller that says nothing about its key; the same for the same key.

        Raises:
            ServiceError: `unauthorized` or `forbidden`.
        """
        if self._keys:
            return self._owner_of_key(request.headers.get("authorization", ""))
        self._check_host(request.headers.get("host", ""))
        self._check_origin(request.headers.get("origin"), request.headers.get("host", ""))
        return "everyone"

    def _owner_of_key(self, authorization: str) -> str:
        scheme, _, key = authorization.partition(" ")
        given = _digest(key.strip())
        # digests are of one length, and all of them are compared, so that the time says nothing
        matches = [hmac.compare_digest(given, known) for known in self._keys]
        if scheme.lower() != "bearer" or not any(matches):
            raise ServiceError(
                "unauthorized", "got no valid API key, expected the header Authorization: Bearer KEY"
            )
        return f"key {matches.index(True) + 1}"

    def _check_host(self, host: str) -> None:
        named = _split(f"//{host}")
        if self._hosts and (named is None or named.hostname not in self._hosts):
            raise ServiceError(
                "forbidden",
                "got another name of the service in the header Host, expected one that is allowed",
            )

    def _check_origin(self, origin: str | None, host: str) -> None:
        """Browsers say which page a request comes from; only our own may send any."""
        if origin is None:
            return
        page = _split(origin)
        if page is None or page.netloc != host:
            raise ServiceError(
                "forbidden", "got a request of another web page, expected none; it needs an API key"
            )


def _split(url: str) -> SplitResult | None:
    """The parts of an address; None if it is none.

    >>> _split("//[::1]:80").hostname, _split("//[::1")
    ('::1', None)
    """
    try:
        return urlsplit(url)
    except ValueError:  # brackets that do not match, characters that pretend to be others
        return None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
