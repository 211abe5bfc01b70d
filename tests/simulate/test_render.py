"""Rendered mixtures: what they are the sum of, at which levels, who talks, the same again."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cse.audio import load_waveform, write_audio
from cse.errors import ConfigError, InvalidAudioError, ManifestError
from cse.manifest import Mixture, read_mixtures, read_utterances, write_manifest
from simulate.mixing import snr_db
from simulate.noise import NoiseConfig
from simulate.plan import Planner
from simulate.render import RenderConfig, render, render_item
from simulate.rooms import SPEED_OF_SOUND_M_PER_S, RoomConfig

ROOMS = RoomConfig(rt60_s=(0.15, 0.25), length_m=(3.0, 5.0), width_m=(3.0, 4.0))


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> NoiseConfig:
    folder = tmp_path_factory.mktemp("noise")
    write_audio(
        folder / "hiss.wav", 0.05 * np.random.default_rng(0).uniform(-1, 1, 6000).astype(np.float32), 16000
    )
    return NoiseConfig(folder=folder, snr_db=(3.0, 6.0))


def _config(
    noise: NoiseConfig | None = None, rooms: RoomConfig | None = ROOMS, **options: object
) -> RenderConfig:
    values = {"sample_rate": 8000, "limit": 4, "rooms": rooms, "noise": noise, **options}
    return RenderConfig(**values)  # type: ignore[arg-type]


def _pcm(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0].astype(np.int64)


def _bytes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".jsonl")
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def _in_mixture(record: Mixture) -> Path:
    beside = record.extra.get("target_in_mixture")
    assert record.target is not None
    return record.target if beside is None else record.mixture.parent / beside


CASES = [
    {"rooms": None},
    {"talkers": 3},
    {"target": "dry", "audio_format": "flac"},
    {"target": "early", "sample_rate": 16000},
]


@pytest.mark.parametrize("options", CASES, ids=str)
def test_mixture_is_the_sum_of_its_parts_to_the_bit(
    made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig, options: dict[str, object]
) -> None:
    for record in render(made_up_utterances, tmp_path, _config(noise, **options), progress=False):
        assert record.noise is not None
        parts = [_pcm(path) for path in (_in_mixture(record), *record.interferers, record.noise)]
        mixture = _pcm(record.mixture)
        np.testing.assert_array_equal(mixture, np.sum(parts, axis=0))
        assert np.abs(mixture).max() / 2**15 == pytest.approx(0.9, abs=1e-3)
        assert len(mixture) == record.duration_s * record.sample_rate
        assert record.sample_rate == soundfile.info(record.mixture).samplerate


@pytest.mark.parametrize("options", CASES, ids=str)
def test_levels_are_the_ones_written_down(
    made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig, options: dict[str, object]
) -> None:
    for record in render(made_up_utterances, tmp_path, _config(noise, **options), progress=False):
        rate = record.sample_rate
        target = load_waveform(_in_mixture(record), rate)
        interferers = [load_waveform(path, rate) for path in record.interferers]
        assert len(record.snr_db) == len(interferers)
        for interferer, asked_db in zip(interferers, record.snr_db, strict=True):
            assert snr_db(target, interferer) == pytest.approx(asked_db, abs=0.1)
            assert abs(asked_db) <= 5
        assert record.noise is not None
        ambient = load_waveform(record.noise, rate)
        asked_db = record.extra["noise_snr_db"]
        assert snr_db(target + np.sum(interferers, axis=0), ambient) == pytest.approx(asked_db, abs=0.1)
        assert 3 <= asked_db <= 6


def test_without_rooms_the_target_is_the_utterance(made_up_utterances: Path, tmp_path: Path) -> None:
    utterances = {utterance.id: utterance for utterance in read_utterances(made_up_utterances)}
    for record in render(
        made_up_utterances, tmp_path, _config(rooms=None, sample_rate=16000), progress=False
    ):
        assert record.target is not None and record.rt60_s is None and record.noise is None
        utterance = utterances[record.extra["target_id"]]
        speech = load_waveform(utterance.audio, 16000)
        target = load_waveform(record.target, 16000)[: len(speech)]
        assert np.dot(speech, target) / np.linalg.norm(speech) / np.linalg.norm(target) > 0.9999
        assert (record.history, record.target_text) == (utterance.history, utterance.text)


@pytest.mark.parametrize("kind", ["dry", "early"])
def test_target_is_aligned_with_its_part_of_the_mixture(
    made_up_utterances: Path, tmp_path: Path, kind: str
) -> None:
    for record in render(made_up_utterances, tmp_path, _config(target=kind, limit=3), progress=False):
        assert record.target is not None
        target, in_mixture = (_pcm(path).astype(np.float64) for path in (record.target, _in_mixture(record)))
        assert not np.array_equal(target, in_mixture)
        assert _lag(target, in_mixture) == 0
        # at its level in the mixture: what the room adds on top of it is reflections, not another copy of it
        gain = np.dot(target, in_mixture) / np.dot(target, target)
        assert 0.7 < gain < 2.0


def test_target_keeps_the_delay_of_the_direct_path(made_up_utterances: Path, tmp_path: Path) -> None:
    utterances = {utterance.id: utterance for utterance in read_utterances(made_up_utterances)}
    rooms = replace(ROOMS, distance_m=(1.5, 2.5))
    for record in render(
        made_up_utterances, tmp_path, _config(rooms=rooms, target="dry", limit=3), progress=False
    ):
        assert record.target is not None
        room = record.extra["room"]
        distance_m = np.linalg.norm(np.subtract(room["talkers_m"][0], room["microphones_m"][0]))
        speech = load_waveform(utterances[record.extra["target_id"]].audio, 8000)
        delay = distance_m / SPEED_OF_SOUND_M_PER_S * 8000
        assert delay > 30
        assert abs(_lag(speech, load_waveform(record.target, 8000)) - delay) <= 1


def _lag(first: np.ndarray, second: np.ndarray) -> int:
    """By how many samples the second comes later than the first: the peak of their cross-correlation."""
    correlation = np.correlate(np.pad(second, len(first)), first, mode="valid")
    return int(np.argmax(correlation)) - len(first)


def test_talkers_dialogues_and_enrollment(made_up_utterances: Path, tmp_path: Path) -> None:
    utterances = {utterance.id: utterance for utterance in read_utterances(made_up_utterances)}
    by_audio = {utterance.audio: utterance for utterance in utterances.values()}
    config = _config(rooms=None, limit=None, talkers=2)
    records = render(made_up_utterances, tmp_path, config, progress=False)
    with_history = [utterance.id for utterance in utterances.values() if utterance.history]
    assert sorted(record.extra["target_id"] for record in records) == sorted(with_history)
    for record in records:
        target = utterances[record.extra["target_id"]]
        assert record.target_speaker == target.speaker
        for identity, text in zip(record.extra["interferer_ids"], record.interferer_texts, strict=True):
            assert utterances[identity].speaker != target.speaker
            assert utterances[identity].dialogue != target.dialogue
            assert utterances[identity].text == text
        said = [[turn.text for turn in utterances[one].history] for one in record.extra["interferer_ids"]]
        assert [[turn["text"] for turn in turns] for turns in record.extra["interferer_histories"]] == said
        assert record.enrollment is not None
        assert record.enrollment != target.audio
        assert by_audio[record.enrollment].speaker == target.speaker


def test_three_talkers_are_three_people(made_up_utterances: Path) -> None:
    planner = Planner(read_utterances(made_up_utterances), talkers=3, min_history_turns=0, seed=0)
    for index in range(len(planner)):
        plan = planner.plan(index)
        assert len({utterance.speaker for utterance in (plan.target, *plan.interferers)}) == 3


def test_no_enrollment_where_there_is_no_other_file(made_up_utterances: Path, tmp_path: Path) -> None:
    utterances = read_utterances(made_up_utterances)
    alone = [replace(utterances[1], speaker="alone"), *(u for u in utterances if u.id != utterances[1].id)]
    # the same recording under another id is no enrollment either
    alone.append(replace(alone[0], id="again", history=()))
    write_manifest(tmp_path / "u.jsonl", alone)
    planner = Planner(read_utterances(tmp_path / "u.jsonl"), talkers=2, min_history_turns=1, seed=0)
    plans = {plan.target.id: plan for plan in map(planner.plan, range(len(planner)))}
    assert plans[utterances[1].id].enrollment is None
    assert plans[utterances[2].id].enrollment is not None


# ---- again and again


def test_same_bytes_twice_in_any_order(made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig) -> None:
    config = _config(noise, talkers=2, limit=3)
    render(made_up_utterances, tmp_path / "first", config, progress=False)
    render(made_up_utterances, tmp_path / "second", config, progress=False)
    planner = Planner(read_utterances(made_up_utterances), talkers=2, min_history_turns=1, seed=0)
    for index in (2, 0, 1):
        render_item(planner.plan(index), tmp_path / "third", config, noise.recordings())
    first = _bytes(tmp_path / "first")
    assert len(first) == 1 + 3 * 4
    assert _bytes(tmp_path / "second") == first
    assert _bytes(tmp_path / "third/audio") == _bytes(tmp_path / "first/audio")
    manifests = [(tmp_path / name / "mixtures.jsonl").read_text() for name in ("first", "second")]
    assert manifests[0] == manifests[1]


def test_rooms_and_noise_do_not_change_who_talks(
    made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig
) -> None:
    dry = render(made_up_utterances, tmp_path / "dry", _config(rooms=None), progress=False)
    wet = render(made_up_utterances, tmp_path / "wet", _config(noise), progress=False)
    for one, other in zip(dry, wet, strict=True):
        assert (one.id, one.snr_db, one.enrollment) == (other.id, other.snr_db, other.enrollment)
        assert one.extra["interferer_ids"] == other.extra["interferer_ids"]


def test_another_seed_makes_other_mixtures(made_up_utterances: Path, tmp_path: Path) -> None:
    one = render(made_up_utterances, tmp_path / "0", _config(rooms=None), progress=False)
    other = render(made_up_utterances, tmp_path / "1", _config(rooms=None, seed=1), progress=False)
    assert [record.snr_db for record in one] != [record.snr_db for record in other]


def test_a_longer_set_starts_with_the_shorter_one(made_up_utterances: Path, tmp_path: Path) -> None:
    short = render(made_up_utterances, tmp_path, _config(limit=2), progress=False)
    untouched = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
    longer = render(made_up_utterances, tmp_path, _config(limit=4), progress=False)
    assert longer[:2] == short
    assert {path: path.stat().st_mtime_ns for path in untouched} == untouched
    assert len(read_mixtures(tmp_path / "mixtures.jsonl")) == 4


def test_resume_makes_what_is_missing_and_nothing_else(
    made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig
) -> None:
    config = _config(noise, target="early")
    records = render(made_up_utterances, tmp_path, config, progress=False)
    before, manifest = _bytes(tmp_path), (tmp_path / "mixtures.jsonl").read_text()
    records[0].mixture.unlink()
    (records[1].mixture.parent / "reverberant.wav").unlink()
    shutil.rmtree(records[2].mixture.parent)
    (tmp_path / "mixtures.jsonl").unlink()
    kept = records[3].mixture.stat().st_mtime_ns
    # killed while it wrote: a folder of that kind is no mixture
    half = records[2].mixture.parent.with_name(f".{records[2].id}.partial")
    half.mkdir()
    (half / "mixture.wav").write_bytes(b"RIFF")
    render(made_up_utterances, tmp_path, config, progress=False)
    assert _bytes(tmp_path) == before
    assert (tmp_path / "mixtures.jsonl").read_text() == manifest
    assert records[3].mixture.stat().st_mtime_ns == kept


def test_an_interrupt_leaves_no_half_mixture(
    made_up_utterances: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import simulate.render

    written = []

    def write_and_stop(path: Path, waveform: np.ndarray, sample_rate: int) -> None:
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt
        write_audio(path, waveform, sample_rate)

    monkeypatch.setattr(simulate.render, "write_audio", write_and_stop)
    with pytest.raises(KeyboardInterrupt):
        render(made_up_utterances, tmp_path, _config(rooms=None), progress=False)
    assert len(list((tmp_path / "audio").iterdir())) == 1
    assert not (tmp_path / "mixtures.jsonl").exists()


def test_output_of_other_options_is_refused(made_up_utterances: Path, tmp_path: Path) -> None:
    render(made_up_utterances, tmp_path, _config(rooms=None, limit=1), progress=False)
    with pytest.raises(ConfigError, match="other values of seed; delete it or name another folder"):
        render(made_up_utterances, tmp_path, _config(rooms=None, limit=1, seed=7), progress=False)
    (tmp_path / "simulation.json").write_text("{")
    with pytest.raises(ConfigError, match="holds mixtures made with other values"):
        render(made_up_utterances, tmp_path, _config(rooms=None, limit=1), progress=False)


# ---- bad input


def test_empty_manifest(tmp_path: Path) -> None:
    (tmp_path / "u.jsonl").write_text("")
    with pytest.raises(ManifestError, match="no records"):
        render(tmp_path / "u.jsonl", tmp_path / "out", _config(), progress=False)
    assert not (tmp_path / "out").exists()


def test_one_talker_alone(made_up_utterances: Path, tmp_path: Path) -> None:
    utterances = [replace(utterance, speaker="one") for utterance in read_utterances(made_up_utterances)]
    write_manifest(tmp_path / "u.jsonl", utterances)
    with pytest.raises(ManifestError, match=r"1 speaker\(s\), expected at least 2"):
        render(tmp_path / "u.jsonl", tmp_path / "out", _config(), progress=False)


def test_one_dialogue_alone(made_up_utterances: Path, tmp_path: Path) -> None:
    write_manifest(tmp_path / "u.jsonl", read_utterances(made_up_utterances)[:4])
    with pytest.raises(ManifestError, match="no interferer of another speaker, dialogue and file"):
        render(tmp_path / "u.jsonl", tmp_path / "out", _config(), progress=False)
    assert not (tmp_path / "out" / "mixtures.jsonl").exists()


def test_nobody_has_enough_history(made_up_utterances: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="has 9 or more turns of history; lower min_history_turns"):
        render(made_up_utterances, tmp_path, _config(min_history_turns=9), progress=False)
    with pytest.raises(ManifestError, match="longer than max_duration_s"):
        render(made_up_utterances, tmp_path, _config(max_duration_s=0.1), progress=False)


def test_silent_utterance_is_named(made_up_utterances: Path, tmp_path: Path) -> None:
    utterances = read_utterances(made_up_utterances)
    write_audio(tmp_path / "silent.wav", np.zeros(8000, dtype=np.float32), 8000)
    target = replace(utterances[1], audio=tmp_path / "silent.wav")
    rest = [replace(utterance, history=()) for utterance in utterances if utterance.id != target.id]
    write_manifest(tmp_path / "u.jsonl", [target, *rest])
    with pytest.raises(InvalidAudioError, match=rf"utterance {target.id} .*silent\.wav\) is silent"):
        render(tmp_path / "u.jsonl", tmp_path / "out", _config(rooms=None), progress=False)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"talkers": 1}, "talkers: got 1, expected 2 or 3"),
        ({"sample_rate": 44100}, "sample_rate: got 44100, expected 8000 or 16000"),
        ({"target": "wet"}, "target: got wet"),
        ({"limit": 0}, "limit: got 0, expected 1 or more"),
        ({"seed": -1}, "seed: got -1"),
        ({"max_duration_s": 0.0}, "max_duration_s: got 0.0"),
    ],
)
def test_wrong_options_say_so(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        _config(**options)


# ---- the command


def test_command(made_up_utterances: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cse.cli import main

    command = [
        "simulate",
        f"utterances={made_up_utterances}",
        f"output={tmp_path}/out",
        "limit=2",
        "sample_rate=8000",
    ]
    assert main([*command, "split=train", "rooms.rt60_s=[0.15,0.2]", "target=dry"]) == 0
    assert capsys.readouterr().out.strip() == f"{tmp_path}/out/mixtures.jsonl"
    records = read_mixtures(tmp_path / "out" / "mixtures.jsonl")
    assert len(records) == 2
    assert all(record.rt60_s is not None and 0.15 <= record.rt60_s <= 0.2 for record in records)
    assert json.loads((tmp_path / "out/simulation.json").read_text())["target"] == "dry"


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seeed=1", "unknown option seeed; did you mean seed?"),
        ("rooms.rt60=[0.2,0.3]", "did you mean rooms.rt60_s? options here: rooms.array_radius_m"),
        ("+novel=1", "unknown option novel; "),
        ("talkers=two", "talkers: got two, expected a whole number"),
        ("target=wet", "target: got wet, expected one of dry, early, reverberant"),
        ("rooms.rt60_s=0.3", "rooms.rt60_s: got 0.3, expected a list of 2"),
        ("rooms.length_m=[3,4]", "rooms.rt60_s is missing"),
        ("noise.snr_db=[0,5]", "neither of noise.folder and noise.files"),
        ("split=nowhere", "no record of split 'nowhere'"),
        ("limit=[1", "config simulate: "),
        ("--seed", "got '--seed', expected options as KEY=VALUE"),
    ],
)
def test_wrong_overrides_end_in_one_line(
    made_up_utterances: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, says: str
) -> None:
    from cse.cli import main

    assert main(["simulate", f"utterances={made_up_utterances}", f"output={tmp_path}/out", override]) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not (tmp_path / "out").exists()


def test_what_is_required_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    from cse.cli import main

    assert main(["simulate", "seed=1"]) == 2
    assert "utterances is missing; give it as utterances=VALUE" in capsys.readouterr().err


def test_help_has_every_option_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    from cse.cli import main

    assert main(["simulate", "--help"]) == 0
    text = capsys.readouterr().out
    for line in (
        "utterances=???",
        "talkers=2",
        "limit=null",
        "rooms.length_m=[3.0,8.0]",
        "noise.snr_db=[0.0,10.0]",
    ):
        assert f"  {line} " in text
    assert "Talkers in a mixture, the target included" in text
