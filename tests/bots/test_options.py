"""The command line of bots: what is wrong in it is one line, and a token is never in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HOMESERVER = ["--homeserver", "https://example.org"]
USER = ["--user", "@voices:example.org"]
TOKEN = ["--token-file", "{token}"]


@pytest.mark.parametrize(
    ("messenger", "arguments", "message"),
    [
        ("telegram", [], "CSE_TELEGRAM_TOKEN: got nothing"),
        ("telegram", ["--token-file", "/nowhere"], "No such file"),
        ("telegram", [*TOKEN, "--api-url", "ftp://x"], "--api-url"),
        ("telegram", [*TOKEN, "--webhook-url", "bot.example"], "--webhook-url"),
        ("telegram", [*TOKEN, "--max-messages", "0"], "max_messages"),
        ("telegram", [*TOKEN, "--workers", "0"], "workers"),
        ("matrix", [*HOMESERVER, *USER], "CSE_MATRIX_TOKEN: got nothing"),
        ("matrix", [*HOMESERVER, *USER, "--token-file", "/nowhere"], "No such file"),
        ("matrix", [*TOKEN, *USER, "--homeserver", "example.org"], "--homeserver"),
        ("matrix", [*TOKEN, *HOMESERVER, "--user", "voices"], "--user"),
        ("matrix", [*TOKEN, *HOMESERVER, *USER, "--keep-h", "0"], "keep_h"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_2(
    matrix_extra, messenger, arguments, message, tmp_path, monkeypatch, capsys
):
    from cse.cli import main

    for variable in ("CSE_TELEGRAM_TOKEN", "CSE_MATRIX_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    token = tmp_path / "token"
    token.write_text("123456:a-token-for-nothing-at-all\n")
    assert main(["bot", messenger, *(part.format(token=token) for part in arguments)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("cse bot: ") and message in lines[0]
    assert "a-token-for-nothing" not in lines[0]


@pytest.mark.parametrize("messenger", ["telegram", "matrix"])
def test_the_token_is_no_option(messenger):
    done = subprocess.run(
        [sys.executable, "-m", "cse", "bot", messenger, "--help"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "--token-file" in done.stdout and "--token " not in done.stdout
    assert f"CSE_{messenger.upper()}_TOKEN" in done.stdout


def test_a_library_that_is_missing_is_named_with_its_extra(extra, monkeypatch, capsys):
    from cse.cli import main

    monkeypatch.setitem(sys.modules, "nio", None)
    assert main(["bot", "matrix", *HOMESERVER, *USER]) == 2
    assert 'pip install "cse[matrix]"' in capsys.readouterr().err
