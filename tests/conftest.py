"""What all tests share: no network, the optional development data, and a made-up corpus."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# hub libraries fail at once instead of trying; set before any test imports them
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Let sockets reach this machine only: a test that needs the network fails everywhere."""
    connect = socket.socket.connect

    def connect_locally(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("localhost", "127.0.0.1", "::1"):
            raise OSError(f"a test tried to reach {host}; tests must pass without a network")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_locally)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def development_data() -> Path:
    """The folder of real recordings for development; tests that use it are skipped where there is none."""
    folder = Path(os.environ.get("CSE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder} (CSE_DATA names another folder)")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def made_up_utterances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An utterances.jsonl of 4 talkers, 6 dialogues of 4 turns, 1 s each, at 16 kHz. Read only."""
    from cse.testing.corpus import write_utterances

    return write_utterances(tmp_path_factory.mktemp("utterances"), dialogues=6)


@pytest.fixture(scope="session")
def made_up_mixtures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixtures.jsonl of 3 mixtures of 2 talkers, 1 s each, at 16 kHz. Read only."""
    from cse.testing.corpus import write_mixtures

    return write_mixtures(tmp_path_factory.mktemp("mixtures"))
