"""`cse extract --voice-book` and `cse voices`, as a user meets them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import soundfile

from cse.cli import main
from cse.extractor import Extractor
from cse.testing.models import SAMPLE_RATE, told_extractor, two_tones
from cse.voice_book import VoiceBook


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording of two tones, a chat before it, and a model that is sure of the lower one."""
    soundfile.write(tmp_path / "note.wav", two_tones(3.0), SAMPLE_RATE)
    (tmp_path / "chat.txt").write_text("Ana: Where shall we meet?\n", encoding="utf-8")
    monkeypatch.setattr(
        Extractor, "from_pretrained", staticmethod(lambda *_, **__: told_extractor(p_none=0.0))
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


EXTRACT = ["extract", "note.wav", "--history", "chat.txt", "-o", "voice.wav"]
BOOK = ["--voice-book", "voices.json", "--sender", "Ben"]


def learn(folder: Path, *senders: str) -> VoiceBook:
    book = VoiceBook(folder / "voices.json")
    extractor = told_extractor(p_none=0.0)
    for sender in senders:
        result = extractor.extract(
            two_tones(3.0), ["Hi"], sample_rate=SAMPLE_RATE, voice_book=book, sender=sender
        )
        assert result.learning is not None and result.learning.learnt
    return book


@pytest.mark.usefixtures("folder")
def test_a_message_is_learnt_from_where_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*EXTRACT, *BOOK]) == 0
    assert "voices.json: learnt" in capsys.readouterr().out
    assert main([*EXTRACT, *BOOK, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["learning"] == {"learnt": True, "reason": None}
    assert VoiceBook("voices.json").voices()["Ben"].messages == 2


def test_nothing_is_stored_without_being_asked_for(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    assert main(EXTRACT) == 0
    assert {path.name for path in folder.iterdir()} == before | {"voice.wav"}


@pytest.mark.parametrize(
    "options",
    [["--voice-book", "voices.json"], ["--sender", "Ben"], ["--voice-book", "voices.json", "--sender", ""]],
)
def test_a_book_needs_a_sender(folder: Path, capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    assert main([*EXTRACT, *options]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (folder / "voice.wav").exists()


def test_many_recordings_have_no_one_sender(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", ".", "-o", "out", *BOOK]) == 2
    assert "got many recordings" in capsys.readouterr().err


def test_list_shows_counts_and_no_numbers_of_the_voice(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learn(folder, "Ana", "Ben", "Ben")
    assert main(["voices", "list", "voices.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[1].startswith("Ben: 2 messages, 6 s of speech, ")
    assert main(["voices", "list", "voices.json", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["sender"], row["messages"]) for row in rows] == [("Ana", 1), ("Ben", 2)]
    assert "mean" not in rows[0]


def test_export_gives_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = learn(folder, "Ana", "Ben")
    assert main(["voices", "export", "voices.json", "Ben"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps([book.export("Ben")]))
    assert main(["voices", "export", "voices.json", "-o", "all.json"]) == 0
    assert [entry["sender"] for entry in json.loads((folder / "all.json").read_text())] == ["Ana", "Ben"]
    assert stat.S_IMODE((folder / "all.json").stat().st_mode) == 0o600


def test_delete_forgets_one_or_all(folder: Path) -> None:
    learn(folder, "Ana", "Ben")
    assert main(["voices", "delete", "voices.json", "Ana"]) == 0
    assert list(VoiceBook("voices.json").voices()) == ["Ben"]
    assert main(["voices", "delete", "voices.json"]) == 2, "not everything by accident"
    assert main(["voices", "delete", "voices.json", "Ben", "--all"]) == 2
    assert main(["voices", "delete", "voices.json", "--all"]) == 0
    assert not (folder / "voices.json").exists()


@pytest.mark.parametrize("action", [["export"], ["delete"]])
def test_an_unknown_name_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], action: list[str]
) -> None:
    learn(folder, "Ana")
    assert main(["voices", *action, "voices.json", "Ben"]) == 2
    error = capsys.readouterr().err
    assert "'Ben'" in error and error.count("\n") == 1


@pytest.mark.parametrize("content", [None, "no book"])
def test_a_file_that_is_no_book_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        (folder / "voices.json").write_text(content)
    assert main(["voices", "list", "voices.json"]) == 2
    error = capsys.readouterr().err
    assert "voices.json" in error and error.count("\n") == 1
    if content is not None:
        assert main([*EXTRACT, *BOOK]) == 2
        assert (folder / "voices.json").read_text() == content


@pytest.mark.parametrize("output", ["voices.json", "link.json", "nowhere/all.json"])
def test_an_export_never_replaces_the_book(
    folder: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    learn(folder, "Ana", "Ben")
    (folder / "link.json").symlink_to("voices.json")
    before = (folder / "voices.json").read_bytes()
    assert main(["voices", "export", "voices.json", "Ben", "-o", output]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"cse voices: -o {output}: ") and error.count("\n") == 1
    assert (folder / "voices.json").read_bytes() == before


def test_a_book_is_deleted_through_a_link(folder: Path) -> None:
    learn(folder, "Ana")
    (folder / "link.json").symlink_to("voices.json")
    assert main(["voices", "delete", "link.json", "--all"]) == 0
    assert not (folder / "voices.json").exists() and not (folder / "link.json").is_symlink()


def test_nobody_moves_the_cursor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learn(folder, "Ev\x1b]0;pwned\x07a")
    assert main(["voices", "list", "voices.json"]) == 0
    assert capsys.readouterr().out.startswith("Ev�]0;pwned�a: 1 messages, ")


def test_a_file_that_may_not_be_looked_at_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", locked)
    assert main(["voices", "list", "locked/v.json"]) == 2
    assert capsys.readouterr().err == (
        "cse voices: locked/v.json: cannot read: Permission denied; expected a voice book\n"
    )
