"""A book of voices: when it learns, what it keeps, and that it harms nobody's data."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cse import Extraction, Extractor, Turn
from cse.encoders.voice import SpeakerEmbedding, unit
from cse.errors import ConfigError, MissingCueError, VoiceBookError
from cse.testing.models import SAMPLE_RATE, ToneVoice, told_extractor, two_tones
from cse.voice_book import Learning, VoiceBook

HISTORY = [Turn("Where shall we meet?", "Ana")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "voices.json"


def result(probability: float = 0.95, **changes: object) -> Extraction:
    made = Extraction(
        waveform=np.zeros(16000, np.float32),
        sample_rate=16000,
        probability=probability,
        abstained=False,
        target_present=True,
        candidates=[],
        turn_attribution=None,
        context_turns=1,
        duration_s=1.0,
        real_time_factor=0.1,
        model="told",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def voice(*vector: float, speech_s: float = 3.0, encoder: str = "tones-1") -> SpeakerEmbedding:
    return SpeakerEmbedding(vector=unit(np.array(vector)), encoder=encoder, speech_s=speech_s, same_above=0.6)


def test_a_sure_message_enrols_its_sender(path: Path) -> None:
    book = VoiceBook(path)
    assert book.voice("ben") is None
    assert book.learn("ben", result(), voice(1, 0)) == Learning(True)
    known = VoiceBook(path).voice("ben")
    assert known is not None
    np.testing.assert_allclose(known.vector, [1, 0], atol=1e-6)
    assert (known.encoder, known.speech_s, known.same_above) == ("tones-1", 3.0, 0.6)
    assert book.voice("ana") is None


@pytest.mark.parametrize(
    ("doubtful", "heard", "reason"),
    [
        (result(0.89), voice(1, 0), "probability of 0.89, expected at least 0.9"),
        (result(abstained=True), voice(1, 0), "probability"),
        (result(target_present=False), voice(1, 0), "nobody"),
        (result(), voice(1, 0, speech_s=1.9), "1.9 s of speech, expected at least 2 s"),
        (result(), voice(0, 0), "no voice"),
    ],
)
def test_doubtful_messages_teach_nothing_and_say_why(
    path: Path, doubtful: Extraction, heard: SpeakerEmbedding, reason: str
) -> None:
    learning = VoiceBook(path).learn("ben", doubtful, heard)
    assert not learning.learnt and learning.reason is not None and reason in learning.reason
    assert not path.exists(), "nothing is stored"


def test_the_voice_is_the_mean_of_the_messages(path: Path) -> None:
    book = VoiceBook(path)
    for vector in ([1, 0], [1, 1], [1, 1]):
        assert book.learn("ben", result(), voice(*vector)).learnt
    stored = book.voices()["ben"]
    np.testing.assert_allclose(
        stored.mean, (unit(np.array([1, 0])) + 2 * unit(np.array([1, 1]))) / 3, atol=1e-5
    )
    assert (stored.messages, stored.speech_s, stored.refused) == (3, 9.0, 0)


def test_old_messages_fade_but_one_message_never_changes_much(path: Path) -> None:
    book = VoiceBook(path, memory=4)
    for _ in range(20):
        book.learn("ben", result(), voice(1, 0))
    before = book.voices()["ben"].vector
    book.learn("ben", result(), voice(1, 1))
    after = book.voices()["ben"]
    assert float(before @ after.vector) > 0.97
    np.testing.assert_allclose(after.mean, 0.75 * before + 0.25 * unit(np.array([1, 1])), atol=1e-5)
    for _ in range(30):
        book.learn("ben", result(), voice(1, 1))
    assert float(book.voices()["ben"].vector @ unit(np.array([1, 1]))) > 0.999, (
        "a voice that changes is followed"
    )


def test_somebody_else_s_voice_is_refused_and_counted(path: Path) -> None:
    book = VoiceBook(path)
    book.learn("ben", result(), voice(1, 0))
    learning = book.learn("ben", result(), voice(0, 1))
    assert learning == Learning(False, "got a cosine of 0.00 with the stored voice, expected at least 0.60")
    stored = book.voices()["ben"]
    assert stored.mean == (1.0, 0.0)
    assert (stored.messages, stored.refused, stored.refused_in_a_row) == (1, 1, 1)
    book.learn("ben", result(), voice(1, 0.1))
    assert (book.voices()["ben"].refused, book.voices()["ben"].refused_in_a_row) == (1, 0)


def test_a_voice_that_all_messages_contradict_is_forgotten(path: Path) -> None:
    """Where the first message was extracted wrongly, all later ones would be refused for ever."""
    book = VoiceBook(path, max_refusals=3)
    book.learn("ben", result(), voice(0, 1))
    for _ in range(2):
        book.learn("ben", result(), voice(1, 0))
    assert "ben" in book.voices()
    learning = book.learn("ben", result(), voice(1, 0))
    assert learning.reason is not None and "forgotten" in learning.reason
    assert book.voice("ben") is None
    assert book.learn("ben", result(), voice(1, 0)).learnt


def test_another_encoder_is_an_error_and_changes_nothing(path: Path) -> None:
    book = VoiceBook(path)
    book.learn("ben", result(), voice(1, 0))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="from the encoder other-2, expected tones-1 as before"):
        book.learn("ben", result(), voice(1, 0, 0, encoder="other-2"))
    assert path.read_bytes() == before


def test_the_size_is_bounded(path: Path) -> None:
    book = VoiceBook(path, max_voices=3)
    for name in ("ana", "ben", "cem", "ana", "dan", "eve"):
        book.learn(name, result(), voice(1, 0))
    assert list(book.voices()) == ["ana", "dan", "eve"], "ben and cem were not heard of for longest"
    book.learn("ana", result(), voice(0, 1))
    book.learn("fay", result(), voice(1, 0))
    assert list(book.voices()) == ["dan", "eve", "fay"], "a refusal does not count as hearing of ana"


def test_the_file_is_private_and_holds_nothing_but_numbers(path: Path) -> None:
    book = VoiceBook(path)
    path.write_text(json.dumps({"format": 1, "key_check": None, "voices": {}}))
    path.chmod(0o644)
    heard = result(warnings=["the secret word is tulip"])
    book.learn("ben", heard, voice(1, 0))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((path.parent / ".voices.json.lock").stat().st_mode) == 0o600
    entry = json.loads(path.read_text())["voices"]["ben"]
    assert set(entry) == set(
        "mean encoder same_above messages speech_s refused refused_in_a_row first last".split()
    )
    assert "tulip" not in path.read_text()
    assert len(entry["last"]) == len("2025-01-31"), "days, not moments"


def test_everything_can_be_seen_exported_and_deleted(path: Path) -> None:
    book = VoiceBook(path)
    for name in ("ana", "ben"):
        book.learn(name, result(), voice(1, 0))
    exported = book.export("ben")
    assert exported is not None and exported["sender"] == "ben"
    assert json.loads(json.dumps(exported))["mean"] == [1.0, 0.0]
    assert book.export("cem") is None
    assert book.delete("ben") and not book.delete("ben")
    assert "ben" not in path.read_text() and list(book.voices()) == ["ana"]
    book.clear()
    assert not path.exists()
    book.clear()


def test_with_a_key_the_file_names_nobody(path: Path) -> None:
    book = VoiceBook(path, key=b"secret")
    book.learn("+34 600 000 000", result(), voice(1, 0))
    book.learn("+34 600 000 000", result(), voice(1, 0))
    assert "600" not in "".join(book.voices())
    assert book.voice("+34 600 000 000") is not None
    (hashed,) = book.voices()
    for wrong in (VoiceBook(path, key=b"other"), VoiceBook(path)):
        with pytest.raises(ConfigError, match="expected the one that the file was made with"):
            wrong.voice("+34 600 000 000")
        with pytest.raises(ConfigError):
            wrong.learn("ana", result(), voice(1, 0))
    keyless = VoiceBook(path)
    assert list(keyless.voices()) == [hashed], "whoever has the file can see and delete what it holds"
    assert keyless.delete(hashed)
    with pytest.raises(ConfigError, match="expected none"):
        plain = VoiceBook(path.with_name("plain.json"))
        plain.learn("ana", result(), voice(1, 0))
        VoiceBook(plain.path, key=b"secret").voice("ana")


def test_a_book_is_cleared_through_a_link(path: Path) -> None:
    VoiceBook(path).learn("ben", result(), voice(1, 0))
    link = path.with_name("link.json")
    link.symlink_to(path.name)
    VoiceBook(link).clear()
    assert not path.exists() and not link.is_symlink()


def test_a_file_that_cannot_be_deleted_is_one_line(path: Path) -> None:
    path.mkdir()
    with pytest.raises(VoiceBookError, match=r"voices\.json: cannot delete: .*; name a file") as caught:
        VoiceBook(path).clear()
    assert "\n" not in str(caught.value)


DAMAGE = {
    "empty": "",
    "cut": '{"format": 1, "key_check": null, "voi',
    "list": "[]",
    "format": '{"format": 2, "key_check": null, "voices": {}}',
    "no voices": '{"format": 1, "key_check": null}',
    "a voice of words": '{"format": 1, "key_check": null, "voices": {"ben": "low"}}',
    "other keys": '{"format": 1, "key_check": null, "voices": {"ben": {"mean": [1]}}}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_is_named_and_left_as_it_is(path: Path, kind: str) -> None:
    path.write_text(DAMAGE[kind])
    book = VoiceBook(path)
    for attempt in (
        lambda: book.voice("ben"),
        lambda: book.learn("ben", result(), voice(1, 0)),
        lambda: book.delete("ben"),
        lambda: book.voices(),
        lambda: told_extractor().extract(
            two_tones(1.0), HISTORY, sample_rate=SAMPLE_RATE, voice_book=book, sender="ben"
        ),
    ):
        with pytest.raises(VoiceBookError, match=r"voices\.json.*it was left as it is") as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert path.read_text() == DAMAGE[kind]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", []),
        ("mean", [0, 0]),
        ("mean", ["1", 0]),
        ("mean", [float("nan"), 1]),
        ("messages", -1),
        ("messages", 1.5),
        ("same_above", None),
        ("speech_s", 10**400),
        ("mean", [10**400, 1]),
        ("first", "yesterday"),
        ("encoder", 3),
    ],
)
def test_a_wrong_value_is_named_without_naming_the_sender(path: Path, name: str, value: object) -> None:
    VoiceBook(path).learn("ben", result(), voice(1, 0))
    content = json.loads(path.read_text())
    content["voices"]["ben"][name] = value
    path.write_text(json.dumps(content))
    with pytest.raises(VoiceBookError) as caught:
        VoiceBook(path).voices()
    assert "ben" not in str(caught.value).removeprefix(str(path))


def test_places_that_cannot_be_written_to_are_named(tmp_path: Path) -> None:
    with pytest.raises(VoiceBookError, match=r"nowhere/voices\.json: cannot write"):
        VoiceBook(tmp_path / "nowhere" / "voices.json").learn("ben", result(), voice(1, 0))
    with pytest.raises(VoiceBookError, match="cannot read: Is a directory"):
        VoiceBook(tmp_path).voices()


@pytest.mark.parametrize("sender", ["", " ", "x" * 501, None, 3])
def test_a_sender_is_a_name(path: Path, sender: object) -> None:
    with pytest.raises(ConfigError, match="expected a name of 1 to 500 characters"):
        VoiceBook(path).learn(sender, result(), voice(1, 0))  # type: ignore[arg-type]


@pytest.mark.parametrize("sender", ["Ana 🌸", "\ud83c", 'a"b\\c', "__proto__"])
def test_any_name_comes_back(path: Path, sender: str) -> None:
    VoiceBook(path).learn(sender, result(), voice(1, 0))
    assert list(VoiceBook(path).voices()) == [sender]
    assert VoiceBook(path).voice(sender) is not None


WRITER = """
import sys, types, numpy
from cse.encoders.voice import SpeakerEmbedding
from cse.voice_book import VoiceBook
path, worker = sys.argv[1:]
result = types.SimpleNamespace(target_present=True, abstained=False, probability=1.0)
voice = SpeakerEmbedding(vector=numpy.ones(1, "f4"), encoder="e", speech_s=3.0, same_above=0.5)
for name in [*(f"{worker} {number}" for number in range(40)), *["shared"] * 20]:
    VoiceBook(path).learn(name, result, voice)
"""


def test_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), worker]) for worker in "ab"]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    stored = VoiceBook(path).voices()
    assert set(stored) == {f"{worker} {number}" for worker in "ab" for number in range(40)} | {"shared"}
    assert stored["shared"].messages == 40
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".voices.json.lock", "voices.json"]


# ---- with an extractor


def extract(extractor: Extractor, book: VoiceBook, **options: object) -> Extraction:
    settings = {"history": HISTORY, "sample_rate": SAMPLE_RATE, "sender": "ben"}
    return extractor.extract(two_tones(3.0), voice_book=book, **{**settings, **options})  # type: ignore[arg-type]


def test_an_extractor_uses_the_voice_that_it_learnt(path: Path) -> None:
    book = VoiceBook(path, min_probability=0.8)
    extractor = told_extractor(1)
    first = extract(extractor, book)
    assert first.learning == Learning(True)
    assert first.to_dict()["learning"] == {"learnt": True, "reason": None}
    extract(extractor, book)
    extract(extractor, book, sender="ana")
    asked = [call["enrollment"] for call in extractor.method.chooser.asked]  # type: ignore[attr-defined]
    assert asked[0] is None and asked[2] is None
    np.testing.assert_allclose(asked[1].vector, ToneVoice().embed(first.waveform, SAMPLE_RATE), atol=1e-4)
    assert book.voices()["ben"].messages == 2


def test_a_known_voice_needs_no_history_and_an_unknown_one_does(path: Path) -> None:
    book = VoiceBook(path, min_probability=0.8)
    with pytest.raises(MissingCueError):
        extract(told_extractor(), book, history=None)
    extract(told_extractor(), book)
    assert extract(told_extractor(), book, history=None).learning == Learning(True)


def test_an_enrollment_goes_before_the_stored_voice(path: Path) -> None:
    book = VoiceBook(path, min_probability=0.8)
    extractor = told_extractor()
    extract(extractor, book)
    sample = 0.1 * np.sin(np.arange(SAMPLE_RATE)).astype(np.float32)
    extract(extractor, book, enrollment=sample)
    assert np.allclose(extractor.method.chooser.asked[1]["enrollment"].waveform, sample)  # type: ignore[attr-defined]


def test_nothing_is_stored_without_a_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = told_extractor().extract(two_tones(3.0), HISTORY, sample_rate=SAMPLE_RATE)
    assert found.learning is None and "learning" not in found.to_dict()
    assert list(tmp_path.iterdir()) == []


def test_a_book_and_a_sender_come_together(path: Path) -> None:
    for options in ({"sender": None}, {"voice_book": None}):
        settings = {"voice_book": VoiceBook(path), "sender": "ben", **options}
        with pytest.raises(ConfigError, match="pass the other too"):
            told_extractor().extract(two_tones(1.0), HISTORY, sample_rate=SAMPLE_RATE, **settings)  # type: ignore[arg-type]


def test_a_result_outlives_a_book_that_cannot_be_written(tmp_path: Path) -> None:
    book = VoiceBook(tmp_path / "nowhere" / "voices.json", min_probability=0.5)
    found = extract(told_extractor(), book)
    assert found.waveform.any()
    assert found.learning is not None and not found.learning.learnt
    assert any("no voice was learnt" in warning and "cannot write" in warning for warning in found.warnings)


def test_coroutines_learn_too(path: Path) -> None:
    book = VoiceBook(path, min_probability=0.5)
    asyncio.run(
        told_extractor().aextract(
            two_tones(3.0), HISTORY, sample_rate=SAMPLE_RATE, voice_book=book, sender="ben"
        )
    )
    assert list(book.voices()) == ["ben"]


def test_an_embedding_stands_for_a_recording() -> None:
    extractor = told_extractor()
    embedding = extractor.embed(two_tones(2.0), sample_rate=SAMPLE_RATE)
    assert embedding.encoder == "tones-1" and embedding.speech_s == pytest.approx(2.0)
    extractor.extract(two_tones(1.0), sample_rate=SAMPLE_RATE, enrollment=embedding)
    assert extractor.method.chooser.asked[0]["enrollment"] is embedding  # type: ignore[attr-defined]
