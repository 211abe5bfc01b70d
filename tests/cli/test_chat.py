"""`cse chat inspect`, and the chat options of `cse extract`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cse.cli import main
from cse.extractor import Extractor
from cse.testing.models import told_extractor

NOTE = "00000012-AUDIO-2024-03-01-14-06-33.opus"
WHATSAPP = f"""[01.03.24, 14:05:01] Hikers: \u200eMessages and calls are end-to-end encrypted.
[01.03.24, 14:05:33] Ana: Where?
Near the bridge?
[01.03.24, 14:06:33] Ben: \u200e<attached: {NOTE}>
[13.03.24, 14:07:33] Ana: See \x1b[31myou
"""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "_chat.txt"
    path.write_text(WHATSAPP, encoding="utf-8")
    return path


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    def chat(number: int, name: str) -> dict[str, object]:
        message = {
            "id": 1,
            "type": "message",
            "date": "2024-03-01T14:05:33",
            "from": name,
            "text": f"I am {name}",
        }
        return {"name": name, "id": number, "type": "personal_chat", "messages": [message]}

    path = tmp_path / "result.json"
    path.write_text(json.dumps({"chats": {"list": [chat(1, "Ana"), chat(2, "Ben")]}}), encoding="utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_table(capsys: pytest.CaptureFixture[str], export: Path) -> None:
    code, out, err = run(capsys, "chat", "inspect", export, "--at", NOTE)
    assert (code, err) == (0, "")
    rows = [line.split(maxsplit=1) for line in out.splitlines() if line]
    assert rows == [
        ["format", "whatsapp"],
        ["messages", "4  2024-03-01T14:05:01 to 2024-03-13T14:07:33"],
        ["people", "Ana 2, Ben 1"],
        ["kinds", "text 2, system 1, voice 1"],
        ["voice", f"2024-03-01T14:06:33  Ben  {NOTE}  id 4"],
        ["context", "1 turn"],
        ["left", "out    system 1, after the note 1"],
        ["voice", f"note  {NOTE}  2024-03-01T14:06:33"],
        ["sent", "by     Ben"],
        ["Ana", "Where? Near the bridge?"],
    ]


def test_nobody_moves_the_cursor(capsys: pytest.CaptureFixture[str], export: Path) -> None:
    _, out, _ = run(capsys, "chat", "inspect", export)
    assert "\x1b" not in out
    assert "See �[31myou" in out


def test_json(capsys: pytest.CaptureFixture[str], export: Path) -> None:
    code, out, _ = run(capsys, "chat", "inspect", export, "--json", "--audio", NOTE.replace(".opus", ".wav"))
    result = json.loads(out)
    assert code == 0
    assert result["context"] == {
        "turns": [{"speaker": "Ana", "text": "Where?\nNear the bridge?", "time": "2024-03-01T14:05:33"}],
        "note": {"id": "4", "time": "2024-03-01T14:06:33", "sender": "Ben", "attachment": NOTE},
        "target": "Ben",
        "dropped": {"system": 1, "after the note": 1},
    }
    assert result["chats"][0]["kinds"] == {"text": 2, "system": 1, "voice": 1}


def test_several_chats(capsys: pytest.CaptureFixture[str], chats: Path) -> None:
    code, out, _ = run(capsys, "chat", "inspect", chats)
    assert code == 0
    assert "chat        Ben  id 2" in out
    assert "several chats: name one with --chat" in out
    code, out, _ = run(capsys, "chat", "inspect", chats, "--chat", "Ben")
    assert "I am Ben" in out


def test_errors_are_one_line(capsys: pytest.CaptureFixture[str], export: Path, tmp_path: Path) -> None:
    for arguments in (
        (export, "--at", "other"),
        (tmp_path / "absent",),
        (tmp_path,),
        (export, "--chat", "Work"),
    ):
        code, out, err = run(capsys, "chat", "inspect", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("cse chat: ")


# ---- cse extract


@pytest.fixture
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(lambda *_, **__: told_extractor(1)))
    time = np.arange(16000) / 16000
    path = tmp_path / f"{NOTE.removesuffix('.opus')}.wav"
    soundfile.write(path, 0.2 * np.sin(2 * np.pi * 300 * time) + 0.1 * np.sin(2 * np.pi * 2500 * time), 16000)
    return path


def turns_used(capsys: pytest.CaptureFixture[str], *arguments: object) -> int:
    code, out, err = run(capsys, "extract", *arguments, "--json")
    assert (code, err) == (0, "")
    turns = json.loads(out)["context_turns"]
    assert isinstance(turns, int)
    return turns


def test_extract_ends_the_context_before_the_note(
    capsys: pytest.CaptureFixture[str], note: Path, export: Path, tmp_path: Path
) -> None:
    output = ("-o", tmp_path / "voice.wav")
    assert turns_used(capsys, note, "--history", export, *output) == 1
    assert turns_used(capsys, note, "--history", export, "--at", "5", *output) == 1
    assert turns_used(capsys, note, "--history", export, "--at", "2024-03-14T00:00", *output) == 2


def test_extract_with_several_chats(
    capsys: pytest.CaptureFixture[str], note: Path, chats: Path, tmp_path: Path
) -> None:
    output = ("-o", tmp_path / "voice.wav")
    code, _, err = run(capsys, "extract", note, "--history", chats, *output)
    assert code == 2
    assert "name it with --chat" in err
    assert turns_used(capsys, note, "--history", chats, "--chat", "2", *output) == 1


def test_options_that_need_a_chat(
    capsys: pytest.CaptureFixture[str], note: Path, export: Path, tmp_path: Path
) -> None:
    code, _, err = run(capsys, "extract", note, "--at", "5", "-o", tmp_path / "voice.wav")
    assert (code, "--at: got it without --history" in err) == (2, True)
    code, _, err = run(capsys, "extract", tmp_path, "--history", export, "--at", "5", "-o", tmp_path / "out")
    assert (code, "expected none for many recordings" in err) == (2, True)


def test_a_folder_of_notes_of_one_chat(
    capsys: pytest.CaptureFixture[str], note: Path, export: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    for name in (note.name, "elsewhere.wav"):
        (tmp_path / "notes" / name).write_bytes(note.read_bytes())
    code, out, _ = run(
        capsys, "extract", tmp_path / "notes", "--history", export, "-o", tmp_path / "out", "--json"
    )
    assert code == 0
    used = {
        Path(result["output"]).stem: result["context_turns"] for result in map(json.loads, out.splitlines())
    }
    assert used == {note.stem: 1, "elsewhere": 2}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is full")
@pytest.mark.parametrize("words", [1, 10_000])
def test_no_room_for_the_output_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: int
) -> None:
    """Whether it is found out while the text is printed or only at its end."""
    (tmp_path / "chat.txt").write_text("Ana: Hi\n" * words, encoding="utf-8")
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main(["chat", "inspect", str(tmp_path / "chat.txt"), "--json"]) == 2
    assert capsys.readouterr().err == (
        "cse chat: cannot write its output: No space left on device; make room for it\n"
    )


def test_a_closed_pipe_is_no_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, export: Path
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert main(["chat", "inspect", str(export), "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_other_errors_of_the_system_are_bugs(monkeypatch: pytest.MonkeyPatch, export: Path) -> None:
    def broken(_: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("cse.cli.chat.open_chat", broken)
    with pytest.raises(ConnectionRefusedError):
        main(["chat", "inspect", str(export)])
