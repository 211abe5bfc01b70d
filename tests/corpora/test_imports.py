"""`cse import`: Kaldi data folders and lhotse manifests as their toolkits write them, and what they may not do."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cse.cli import main
from cse.manifest import Utterance, read_utterances
from cse.testing.corpus import speech_like

RATE_HZ = 8000


def record(path: Path, *, duration_s: float = 4.0, talker: int = 0, channels: int = 1) -> np.ndarray:
    """A recording of 16 bits, (T,) or (T, channels) as integers."""
    voices = [
        speech_like(duration_s, talker=talker + channel, sample_rate=RATE_HZ) for channel in range(channels)
    ]
    samples = (np.stack(voices, axis=1) * 32767).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE_HZ)
    return samples[:, 0] if channels == 1 else samples


def imported(output: Path, *arguments: str | Path) -> dict[str, Utterance]:
    assert main(["import", *map(str, arguments), "-o", str(output), "--engine", "serial"]) == 0
    return {utterance.id: utterance for utterance in read_utterances(output)}


def heard(utterance: Utterance) -> np.ndarray:
    samples, rate = soundfile.read(utterance.audio, dtype="int16")
    assert rate == utterance.sample_rate and len(samples) / rate == pytest.approx(utterance.duration_s)
    return samples


def told(utterance: Utterance) -> list[tuple[str | None, str]]:
    return [(turn.speaker, turn.text) for turn in utterance.history]


def reasons(output: Path) -> dict[str, list[str]]:
    report = json.loads((output.parent / "left_out.json").read_text())["left_out"]
    return {kind: [item["id"] for item in found["items"]] for kind, found in report.items()}


# ---- Kaldi


@pytest.fixture
def kaldi(tmp_path: Path) -> Path:
    """Two calls: one of three segments, written in another order than they are spoken in, one of one."""
    data = tmp_path / "data"
    record(tmp_path / "audio" / "call1.wav")
    record(tmp_path / "audio" / "call2.wav", duration_s=2.0, talker=5)
    data.mkdir()
    (data / "wav.scp").write_text(f"call1 {tmp_path}/audio/call1.wav\ncall2\t{tmp_path}/audio/call2.wav\n")
    (data / "segments").write_text(
        "ana-3 call1 2.5 3.75\nana-1 call1 0.25 1.0\nben-2 call1 1.0 2.25\neve-1 call2 0.5 -1\n"
    )
    (data / "utt2spk").write_text("ana-1 ana\nana-3 ana\nben-2 ben\neve-1 eve\n")
    (data / "text").write_text("ana-1 where shall we  meet\nana-3 è tardi\nben-2\neve-1 hello\n")
    return data


def test_segments_of_a_recording_are_each_others_history(kaldi: Path, tmp_path: Path):
    utterances = imported(tmp_path / "out" / "utterances.jsonl", "kaldi", kaldi, "--split", "dev")
    assert list(utterances) == ["ana-1", "ben-2", "ana-3", "eve-1"], "in the order in which they are spoken"
    assert told(utterances["ana-1"]) == [] and told(utterances["eve-1"]) == []
    assert told(utterances["ben-2"]) == [("ana", "where shall we  meet")]
    assert told(utterances["ana-3"]) == [("ana", "where shall we  meet")], "nobody has words without words"
    assert utterances["ben-2"].text is None and utterances["ana-3"].text == "è tardi"
    assert {u.split for u in utterances.values()} == {"dev"}
    assert [u.dialogue for u in utterances.values()] == ["call1"] * 3 + ["call2"]


def test_segments_are_cut_to_the_sample(kaldi: Path, tmp_path: Path):
    utterances = imported(tmp_path / "out" / "utterances.jsonl", "kaldi", kaldi)
    whole, _ = soundfile.read(tmp_path / "audio" / "call1.wav", dtype="int16")
    np.testing.assert_array_equal(heard(utterances["ben-2"]), whole[8000:18000])
    whole, _ = soundfile.read(tmp_path / "audio" / "call2.wav", dtype="int16")
    np.testing.assert_array_equal(heard(utterances["eve-1"]), whole[4000:]), "-1 is the end"


def test_without_segments_recordings_are_utterances_and_stay_where_they_are(kaldi: Path, tmp_path: Path):
    (kaldi / "segments").unlink()
    (kaldi / "text").unlink()
    (kaldi / "utt2spk").write_text("call1 ana\ncall2 eve\n")
    utterances = imported(tmp_path / "out" / "utterances.jsonl", "kaldi", kaldi)
    assert [u.audio for u in utterances.values()] == [tmp_path / "audio" / f"call{n}.wav" for n in (1, 2)]
    assert [u.duration_s for u in utterances.values()] == [4.0, 2.0]
    assert not (tmp_path / "out" / "audio").exists()


@pytest.mark.parametrize("name", ["text", "wav.scp", "utt2spk", "segments", "../audio/call1.wav"])
def test_what_is_read_is_never_overwritten(kaldi: Path, capsys, name: str):
    before = (kaldi / name).read_bytes()
    assert main(["import", "kaldi", str(kaldi), "-o", str(kaldi / name), "--engine", "serial"]) == 2
    said = capsys.readouterr().err
    assert (
        said.startswith(f"cse import: -o {kaldi / name}: got the file of the input ")
        and said.count("\n") == 1
    )
    assert (kaldi / name).read_bytes() == before
    assert {path.name for path in kaldi.iterdir()} == {"wav.scp", "segments", "utt2spk", "text"}


def test_relative_paths_are_relative_to_the_audio_root(kaldi: Path, tmp_path: Path):
    (kaldi / "wav.scp").write_text("call1 audio/call1.wav\ncall2 audio/call2.wav\n")
    imported(tmp_path / "out" / "utterances.jsonl", "kaldi", kaldi, "--audio-root", tmp_path)


def test_shell_commands_are_refused_and_not_run(kaldi: Path, tmp_path: Path, capsys):
    (kaldi / "wav.scp").write_text(
        f"call1 touch {tmp_path}/run; sph2pipe -f wav call1.sph |\ncall2 raw.ark:17\n"
    )
    assert main(["import", "kaldi", str(kaldi), "-o", str(tmp_path / "out.jsonl")]) == 2
    said = capsys.readouterr().err
    assert f"{kaldi}/wav.scp:1: got a shell command for call1" in said and "1 more problem" in said
    assert not (tmp_path / "run").exists() and not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("segments", "ana-1 call1 0.25", "segments:1: got ana-1 'call1 0.25', expected: utterance recording"),
        ("segments", "a call1 0 1\n\na call1 1 2", "segments:3: got a a second time (first in line 1)"),
        ("wav.scp", "call1\n", "wav.scp:1: got call1 alone"),
        ("utt2spk", None, "utt2spk: cannot read: No such file"),
        ("text", b"ana-1 \xff", "text: got bytes that are no UTF-8"),
    ],
)
def test_wrong_files_say_where(
    kaldi: Path, tmp_path: Path, capsys, name: str, content: str | bytes | None, said: str
):
    (kaldi / name).unlink()
    if content is not None:
        (kaldi / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["import", "kaldi", str(kaldi), "-o", str(tmp_path / "out.jsonl")]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1


def test_what_cannot_be_used_is_named(kaldi: Path, tmp_path: Path, capsys):
    (kaldi / "segments").write_text(
        (kaldi / "segments").read_text() + "x-1 call9 0 1\ny-1 call1 0 1\nana-9 call1 30 31\n"
    )
    (kaldi / "utt2spk").write_text((kaldi / "utt2spk").read_text() + "x-1 x\nana-9 ana\n")
    output = tmp_path / "out" / "utterances.jsonl"
    assert main(["import", "kaldi", str(kaldi), "-o", str(output), "--engine", "serial"]) == 2
    assert "3 of 7 utterances would be left out" in capsys.readouterr().err
    assert not output.exists()
    assert len(imported(output, "kaldi", kaldi, "--max-left-out", "0.5")) == 4
    assert reasons(output) == {"no recording": ["x-1"], "no speaker": ["y-1"], "beyond the end": ["ana-9"]}


def test_names_cannot_lead_out_of_the_folder(kaldi: Path, tmp_path: Path, capsys):
    (kaldi / "segments").write_text("../../escaped call1 0 1\n")
    (kaldi / "utt2spk").write_text("../../escaped ana\n")
    assert main(["import", "kaldi", str(kaldi), "-o", str(tmp_path / "a" / "b" / "out.jsonl")]) == 2
    assert "'../../escaped'" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*escaped*"))


# ---- lhotse


def recording(path: Path, *, duration_s: float = 4.0, channels: tuple[int, ...] = (0,)) -> dict[str, Any]:
    return {
        "id": path.stem,
        "sources": [{"type": "file", "channels": list(channels), "source": str(path)}],
        "sampling_rate": RATE_HZ,
        "num_samples": round(RATE_HZ * duration_s),
        "duration": duration_s,
        "channel_ids": list(channels),
    }


def supervision(of: str, name: str, start_s: float, duration_s: float, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "recording_id": of,
        "start": start_s,
        "duration": duration_s,
        "channel": 0,
        "text": f"words of {name}",
        "speaker": name.split("-")[0],
        **more,
    }


def cut(
    of: dict[str, Any], start_s: float, duration_s: float, *supervisions: dict[str, Any]
) -> dict[str, Any]:
    return {
        "id": f"{of['id']}-{start_s}",
        "start": start_s,
        "duration": duration_s,
        "channel": 0,
        "supervisions": list(supervisions),
        "recording": of,
        "type": "MonoCut",
    }


def write_lines(path: Path, *lines: dict[str, Any]) -> Path:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts.jsonl.gz"])
def test_cuts_with_offsets_and_several_supervisions(tmp_path: Path, name: str):
    whole = record(tmp_path / "talk.wav")
    talk = recording(tmp_path / "talk.wav")
    late = cut(talk, 2.0, 2.0, supervision("talk", "ana-3", 0.25, 1.5))
    early = cut(
        talk, 0.0, 2.0, supervision("talk", "ben-2", 1.0, 0.5), supervision("talk", "ana-1", 0.125, 0.75)
    )
    again = cut(talk, 1.0, 2.0, supervision("talk", "ben-2", 0.0, 0.5))
    cuts = write_lines(tmp_path / name, late, early, again)
    utterances = imported(tmp_path / "out" / "utterances.jsonl", "lhotse", cuts)
    assert list(utterances) == ["ana-1", "ben-2", "ana-3"], "each once, in the order in which they are spoken"
    assert told(utterances["ana-3"]) == [("ana", "words of ana-1"), ("ben", "words of ben-2")]
    np.testing.assert_array_equal(heard(utterances["ana-1"]), whole[1000:7000])
    np.testing.assert_array_equal(heard(utterances["ana-3"]), whole[18000:30000])
    assert {u.dialogue for u in utterances.values()} == {"talk"}


def test_recordings_and_supervisions_in_files_of_their_own(tmp_path: Path):
    record(tmp_path / "talk.wav")
    recordings = write_lines(tmp_path / "recordings.jsonl.gz", recording(tmp_path / "talk.wav"))
    supervisions = write_lines(
        tmp_path / "supervisions.jsonl.gz",
        supervision("talk", "ben-2", 2.0, 1.0),
        supervision("talk", "ana-1", 0.0, 1.0),
    )
    utterances = imported(tmp_path / "out" / "utterances.jsonl", "lhotse", supervisions, recordings)
    assert told(utterances["ben-2"]) == [("ana", "words of ana-1")]


def test_cuts_that_are_whole_recordings_stay_where_they_are(tmp_path: Path):
    lines = []
    for name in ("ana-1", "ben-1"):
        record(tmp_path / f"{name}.flac")
        lines.append(cut(recording(tmp_path / f"{name}.flac"), 0, 4.0, supervision(name, name, 0, 3.995)))
    utterances = imported(
        tmp_path / "out" / "utterances.jsonl", "lhotse", write_lines(tmp_path / "cuts.jsonl", *lines)
    )
    assert [u.audio.name for u in utterances.values()] == ["ana-1.flac", "ben-1.flac"]
    assert not (tmp_path / "out" / "audio").exists()


def test_channels_of_one_file_and_of_several(tmp_path: Path):
    stereo = record(tmp_path / "stereo.wav", channels=2)
    left = record(tmp_path / "left.wav", talker=7)
    right = record(tmp_path / "right.wav", talker=8)
    two_files = recording(tmp_path / "left.wav")
    two_files["id"] = "pair"
    two_files["sources"].append({"type": "file", "channels": [1], "source": str(tmp_path / "right.wav")})
    cuts = write_lines(
        tmp_path / "cuts.jsonl",
        cut(
            recording(tmp_path / "stereo.wav", channels=(0, 1)), 0, 4.0,
            supervision("stereo", "ana-1", 0.5, 1.0), supervision("stereo", "ben-2", 1.0, 2.0, channel=1),
        ),
        cut(
            two_files, 0, 4.0,
            supervision("pair", "cai-1", 0.5, 1.0), supervision("pair", "dee-2", 1.0, 2.0, channel=[1]),
            supervision("pair", "cai-3", 3.0, 0.5),
        ),
    )  # fmt: skip
    utterances = imported(tmp_path / "out" / "utterances.jsonl", "lhotse", cuts)
    np.testing.assert_array_equal(heard(utterances["ana-1"]), stereo[4000:12000, 0])
    np.testing.assert_array_equal(heard(utterances["ben-2"]), stereo[8000:24000, 1])
    np.testing.assert_array_equal(heard(utterances["cai-1"]), left[4000:12000])
    np.testing.assert_array_equal(heard(utterances["dee-2"]), right[8000:24000])
    assert told(utterances["cai-3"]) == [("cai", "words of cai-1"), ("dee", "words of dee-2")]


def test_what_lhotse_would_compute_is_left_out_by_name(tmp_path: Path):
    record(tmp_path / "talk.wav")
    talk = recording(tmp_path / "talk.wav")
    fast = {**talk, "id": "talk_sp1.1", "transforms": [{"name": "Speed", "kwargs": {"factor": 1.1}}]}
    cuts = write_lines(
        tmp_path / "cuts.jsonl",
        cut(
            talk, 0, 4.0, supervision("talk", "ana-1", 0, 1.0), supervision("talk", "x-2", 1, 1, speaker=None)
        ),
        cut(talk, 2, 2.0, supervision("talk", "ben-3", 0, 1.0, text=None)),
        cut(talk, 3, 1.0, supervision("talk", "ana-4", 0, 1.0)),
        {"id": "mix", "type": "MixedCut", "tracks": []},
        {"id": "pad", "type": "PaddingCut", "duration": 1.0},
        cut(fast, 0, 4.0, supervision("talk_sp1.1", "ana-5", 0, 1.0)),
        {"id": "features", "type": "MonoCut", "start": 0, "duration": 1, "supervisions": [], "features": {}},
    )
    output = tmp_path / "out" / "utterances.jsonl"
    utterances = imported(output, "lhotse", cuts, "--max-left-out", "0.9")
    assert list(utterances) == ["ana-1", "ben-3", "ana-4"]
    assert told(utterances["ana-4"]) == [("ana", "words of ana-1"), ("unknown", "words of x-2")]
    assert reasons(output) == {
        "mixed cut": ["mix"],
        "transformed": ["talk_sp1.1"],
        "no recording": ["features"],
        "no speaker": ["x-2"],
    }


@pytest.mark.parametrize("kind", ["command", "url", "memory", "shar"])
def test_audio_that_is_no_file_is_refused(tmp_path: Path, capsys, kind: str):
    talk = recording(tmp_path / "talk.wav")
    talk["sources"][0] |= {"type": kind, "source": f"touch {tmp_path}/run"}
    cuts = write_lines(tmp_path / "cuts.jsonl", cut(talk, 0, 1.0, supervision("talk", "ana-1", 0, 1.0)))
    assert main(["import", "lhotse", str(cuts), "-o", str(tmp_path / "out.jsonl")]) == 2
    assert f"{cuts}:1: talk: got audio of type '{kind}'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "line", ['{"id": "a"', "[]", '{"id": "a"}', '{"id": "a", "recording_id": 3, "start": "x"}']
)
def test_lines_that_are_no_manifest(tmp_path: Path, capsys, line: str):
    cuts = tmp_path / "cuts.jsonl"
    cuts.write_text(f"\n{line}\n")
    assert main(["import", "lhotse", str(cuts), "-o", str(tmp_path / "out.jsonl")]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and f"{cuts}:2: " in said


@pytest.mark.parametrize("content", [b"\x1f\x8bnot gzip", b"\xff\xfe\x00", b"RIFF"])
def test_files_that_are_no_manifest(tmp_path: Path, capsys, content: bytes):
    cuts = tmp_path / "cuts.jsonl.gz"
    cuts.write_bytes(content)
    assert main(["import", "lhotse", str(cuts), "-o", str(tmp_path / "out.jsonl")]) == 2
    said = capsys.readouterr().err
    assert str(cuts) in said and len(said.splitlines()) == 1
