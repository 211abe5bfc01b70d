"""What a text is taken for."""

from __future__ import annotations

import ast
import os
import threading
from pathlib import Path

import pytest

from cse.chat import open_chat, open_chat_text, parse_history
from cse.errors import HistoryError


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        ("", "text"),
        ("Ana: Hi", "text"),
        ("[12:30] Ana: hi", "text"),
        ("{laughs} yes", "text"),
        ("[1] see the footnote", "text"),
        ("01.03.24 was a good day", "text"),
        ("\n\n\u200e[01.03.24, 14:05:33] Ana: Hi", "whatsapp"),
        ("[]", "turns"),
        ("[1, 2]", "turns"),
        ('{"history": []}', "turns"),
        ('["a"]', "turns"),
        ('[{"odd": 1}, {"update_id": 5}]', "telegram-bot"),
        ('{"odd": 1}\n{"envelope": {}}', "signal"),
    ],
)
def test_formats(text: str, format_: str) -> None:
    assert open_chat_text(text).format == format_
    assert open_chat_text(text.encode("utf-8-sig")).format == format_


@pytest.mark.parametrize("text", ['{"a": 1}', '{"messages": {"a": 1}}', '{"a": 1}\n{"a": 2}'])
def test_json_of_no_known_form(text: str) -> None:
    with pytest.raises(HistoryError, match=r"^line 1: got .* expected turns or a chat export"):
        parse_history(text)


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("[01.03.24, 14:05:33] Ana: Hi",))
    writer.start()
    export = open_chat(pipe)
    writer.join()
    assert [message.text for message in export.messages()] == ["Hi"]
    assert [message.text for message in export.messages()] == ["Hi"]


def test_chats_know_of_nothing_but_turns_and_errors(repository: Path) -> None:
    """Arrows point one way: a service that reads chats only does not need a model."""
    used = set()
    for path in (repository / "cse" / "chat").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cse."):
                used.add(node.module)
    assert {module for module in used if not module.startswith("cse.chat")} == {"cse.history", "cse.errors"}
