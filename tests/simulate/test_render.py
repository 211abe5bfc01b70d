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
from cse.engines.pool import Pool
from cse.errors import ConfigError, InvalidAudioError, ManifestError
from cse.manifest import Mixture, read_mixtures, read_utterances, write_manifest
from simulate.bank import RirBank
from simulate.bank_making import BankConfig, make_bank
from simulate.channel import Channel, ChannelConfig
from simulate.item import ItemMaker
from simulate.mixing import snr_db
from simulate.noise import NoiseConfig
from simulate.plan import Planner
from simulate.render import RenderConfig, render
from simulate.rooms import SPEED_OF_SOUND_M_PER_S, RoomConfig
from simulate.sound import Acoustics

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


# ---- rooms of a bank, absent targets, overlap, cuts, channels


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank") / "rirs"
    make_bank(folder, BankConfig(rooms=ROOMS, talkers=3, sample_rate=8000), count=10)
    return folder


def test_rooms_of_a_bank_are_those_of_the_split(made_up_utterances: Path, tmp_path: Path, bank: Path) -> None:
    config = _config(rooms=None, bank=bank, split="train", limit=None, target="dry")
    records = render(made_up_utterances, tmp_path, config, progress=False)
    taken = {record.extra["room"]["number_in_bank"] for record in records}
    assert taken <= set(range(8)) and len(taken) > 4
    for record in records[:3]:
        rooms = RirBank.load(bank)
        rir = rooms.room(record.extra["room"]["number_in_bank"]).rirs(8000).reverberant[1, 0]
        (interferer,) = record.interferers
        utterance = made_up_utterances.parent / "audio" / f"{record.extra['interferer_ids'][0]}.wav"
        heard = np.convolve(load_waveform(utterance, 8000), rir)
        written = load_waveform(interferer, 8000)[: len(heard)]
        heard = heard[: len(written)]
        assert np.dot(heard, written) / np.linalg.norm(heard) / np.linalg.norm(written) > 0.999


def test_a_bank_must_fit(made_up_utterances: Path, tmp_path: Path, bank: Path) -> None:
    for options, says in (
        ({"sample_rate": 16000}, "got impulse responses at 8000 Hz, expected 16000 Hz"),
        ({"bank_split": "test", "split": "train"}, None),
    ):
        config = _config(rooms=None, bank=bank, limit=1, **options)
        if says is None:
            (record,) = render(made_up_utterances, tmp_path / "out", config, progress=False)
            assert record.extra["room"]["number_in_bank"] == 9
            continue
        with pytest.raises(ConfigError, match=says):
            render(made_up_utterances, tmp_path / "out", config, progress=False)
    utterances = [replace(one, split="night") for one in read_utterances(made_up_utterances)]
    write_manifest(tmp_path / "u.jsonl", utterances)
    with pytest.raises(ConfigError, match="bank_split: got none with split=night"):
        render(
            tmp_path / "u.jsonl",
            tmp_path / "o",
            _config(rooms=None, bank=bank, split="night"),
            progress=False,
        )


def test_absent_targets(made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig) -> None:
    utterances = {utterance.id: utterance for utterance in read_utterances(made_up_utterances)}
    by_audio = {utterance.audio: utterance for utterance in utterances.values()}
    config = _config(noise, limit=12, absent_probability=0.5, target="dry")
    records = render(made_up_utterances, tmp_path, config, progress=False)
    absent = [record for record in records if record.target is None]
    assert 2 <= len(absent) <= 10
    for record in absent:
        asked = utterances[record.extra["asked_id"]]
        assert record.history == asked.history and record.history
        assert (record.target_text, record.extra["target_id"]) == (None, None)
        assert record.target_speaker == asked.speaker
        assert record.enrollment is not None and by_audio[record.enrollment].speaker == asked.speaker
        talkers = [utterances[one] for one in record.extra["interferer_ids"]]
        assert len(talkers) == len(record.interferers) == len(record.interferer_texts) == 2
        assert len({asked.speaker, *(talker.speaker for talker in talkers)}) == 3
        assert asked.dialogue not in {talker.dialogue for talker in talkers}
        assert record.noise is not None
        parts = [_pcm(path) for path in (*record.interferers, record.noise)]
        np.testing.assert_array_equal(_pcm(record.mixture), np.sum(parts, axis=0))
        first, second = (load_waveform(path, 8000) for path in record.interferers)
        assert snr_db(first, second) == pytest.approx(record.snr_db[0], abs=0.1)


@pytest.mark.parametrize("talkers", [2, 3])
def test_overlap_is_what_was_asked_for(made_up_utterances: Path, tmp_path: Path, talkers: int) -> None:
    lengths = {one.id: one.duration_s for one in read_utterances(made_up_utterances)}
    config = _config(rooms=None, limit=8, overlap=(0.3, 0.6), talkers=talkers, sample_rate=16000)
    for record in render(made_up_utterances, tmp_path, config, progress=False):
        ids = [record.extra["target_id"], *record.extra["interferer_ids"]]
        begins = record.extra["begins_s"]
        spans = [(begin, begin + lengths[one]) for begin, one in zip(begins, ids, strict=True)]
        assert min(begins) == 0
        assert record.duration_s == pytest.approx(max(end for _, end in spans), abs=1e-3)
        first, last = spans[0]
        for (begin, end), ratio in zip(spans[1:], record.extra["overlap"], strict=True):
            shared = min(last, end) - max(first, begin)
            assert 0.3 <= ratio <= 0.6
            assert shared / min(last - first, end - begin) == pytest.approx(ratio, abs=1e-3)
            first, last = min(first, begin), max(last, end)
        for path, (begin, end) in zip([record.target, *record.interferers], spans, strict=True):
            assert path is not None
            heard = np.flatnonzero(_pcm(path))
            assert begin * 16000 <= heard[0] + 1 and heard[-1] <= end * 16000
        parts = [_pcm(path) for path in (_in_mixture(record), *record.interferers)]
        np.testing.assert_array_equal(_pcm(record.mixture), np.sum(parts, axis=0))


def test_cut_to_the_shortest(made_up_utterances: Path, tmp_path: Path) -> None:
    lengths = {one.id: one.duration_s for one in read_utterances(made_up_utterances)}
    config = _config(rooms=None, limit=None, cut_probability=0.5, sample_rate=16000)
    records = render(made_up_utterances, tmp_path, config, progress=False)
    cut = [record for record in records if record.extra.get("cut")]
    assert 0 < len(cut) < len(records)
    for record in records:
        ids = [record.extra["target_id"], *record.extra["interferer_ids"]]
        wanted = (min if record in cut else max)(lengths[one] for one in ids)
        assert record.duration_s == pytest.approx(wanted)
        assert record.target is not None
        target, interferer = (load_waveform(path, 16000) for path in (record.target, *record.interferers))
        assert snr_db(target, interferer) == pytest.approx(record.snr_db[0], abs=0.1)


def test_a_talker_who_begins_with_silence_is_not_cut_to_it(made_up_utterances: Path, tmp_path: Path) -> None:
    utterances = read_utterances(made_up_utterances)
    late, other = utterances[1], next(one for one in utterances if one.dialogue != utterances[1].dialogue)
    for utterance, before_s, name in ((late, 2.0, "late"), (other, 0.0, "other")):
        speech = load_waveform(utterance.audio, 8000)
        write_audio(tmp_path / f"{name}.wav", np.pad(speech, (round(8000 * before_s), 0)), 8000)
    late, other = (
        replace(one, audio=tmp_path / f"{name}.wav", split=None, speaker=name)
        for one, name in ((late, "late"), (replace(other, history=()), "other"))
    )
    write_manifest(tmp_path / "u.jsonl", [late, other])
    for target, rooms in (("reverberant", None), ("dry", ROOMS)):
        config = _config(rooms=rooms, target=target, cut_probability=1.0)
        (record,) = render(tmp_path / "u.jsonl", tmp_path / target, config, progress=False)
        assert record.target is not None and record.target_speaker == "late"
        assert np.abs(_pcm(record.target)).max() > 1000


def test_a_channel_changes_the_mixture_and_nothing_else(
    made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig
) -> None:
    channel = ChannelConfig(gain_db=(-12.0, -6.0), clip_probability=0.5, opus_probability=0.5)
    plain = render(made_up_utterances, tmp_path / "plain", _config(noise), progress=False)
    sent = render(made_up_utterances, tmp_path / "sent", _config(noise, channel=channel), progress=False)
    for before, after in zip(plain, sent, strict=True):
        untouched = after.mixture.parent / after.extra["mixture_before_channel"]
        assert untouched.read_bytes() == before.mixture.read_bytes()
        assert after.target is not None and before.target is not None
        assert after.target.read_bytes() == before.target.read_bytes()
        gain_db = after.extra["channel"]["gain_db"]
        assert -12 <= gain_db <= -6
        expected = Channel(**after.extra["channel"]).apply(load_waveform(untouched, 8000), 8000)
        np.testing.assert_allclose(load_waveform(after.mixture, 8000), expected, atol=1 / 2**15)
        assert not np.array_equal(_pcm(after.mixture), _pcm(untouched))
    assert len({record.extra["channel"]["clip_level"] is None for record in sent}) == 2
    sent[0].mixture.parent.joinpath("before_channel.wav").unlink()
    assert (
        render(made_up_utterances, tmp_path / "sent", _config(noise, channel=channel), progress=False) == sent
    )
    assert sent[0].mixture.parent.joinpath("before_channel.wav").is_file()


def test_a_channel_that_changes_nothing_leaves_no_copy(made_up_utterances: Path, tmp_path: Path) -> None:
    config = _config(rooms=None, limit=2, channel=ChannelConfig(clip_probability=0.0))
    for record in render(made_up_utterances, tmp_path, config, progress=False):
        assert "mixture_before_channel" not in record.extra
        assert record.extra["channel"]["clip_level"] is None


# ---- again and again


def test_same_bytes_twice_in_any_order(made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig) -> None:
    config = _config(noise, talkers=2, limit=3)
    render(made_up_utterances, tmp_path / "first", config, progress=False)
    render(made_up_utterances, tmp_path / "second", config, progress=False)
    planner = Planner(read_utterances(made_up_utterances), config)
    make = ItemMaker(tmp_path / "third", Acoustics(config), config.audio_format)
    for index in (2, 0, 1):
        make(planner.plan(index))
    first = _bytes(tmp_path / "first")
    assert len(first) == 1 + 3 * 4
    assert _bytes(tmp_path / "second") == first
    assert _bytes(tmp_path / "third/audio") == _bytes(tmp_path / "first/audio")
    manifests = [(tmp_path / name / "mixtures.jsonl").read_text() for name in ("first", "second")]
    assert manifests[0] == manifests[1]


@pytest.mark.slow
def test_same_bytes_by_a_pool_of_processes(
    made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig
) -> None:
    options = {
        "absent_probability": 0.3,
        "overlap": (0.2, 0.8),
        "channel": ChannelConfig(opus_probability=0.5),
    }
    config = _config(noise, limit=6, **options)
    render(made_up_utterances, tmp_path / "here", config, progress=False)
    render(made_up_utterances, tmp_path / "pool", config, engine=Pool(workers=2), progress=False)
    assert _bytes(tmp_path / "pool") == _bytes(tmp_path / "here")
    assert (tmp_path / "pool/mixtures.jsonl").read_text() == (tmp_path / "here/mixtures.jsonl").read_text()


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
    import simulate.item

    written = []

    def write_and_stop(path: Path, waveform: np.ndarray, sample_rate: int) -> None:
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt
        write_audio(path, waveform, sample_rate)

    monkeypatch.setattr(simulate.item, "write_audio", write_and_stop)
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
    with pytest.raises(ManifestError, match=r"a target with 0 other speaker\(s\) in other dialogues"):
        render(tmp_path / "u.jsonl", tmp_path / "out", _config(), progress=False)
    assert not (tmp_path / "out" / "mixtures.jsonl").exists()


def test_nobody_has_enough_history(made_up_utterances: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ManifestError, match=r"9 turn\(s\) of history \(the most are 3\).* lower `min_history_turns`"
    ):
        render(made_up_utterances, tmp_path, _config(min_history_turns=9), progress=False)
    with pytest.raises(ManifestError, match="longer than max_duration_s"):
        render(made_up_utterances, tmp_path, _config(max_duration_s=0.1), progress=False)


def test_silent_utterance_is_named(made_up_utterances: Path, tmp_path: Path) -> None:
    utterances = read_utterances(made_up_utterances)
    write_audio(tmp_path / "silent.wav", np.zeros(8000, dtype=np.float32), 8000)
    target = replace(utterances[1], audio=tmp_path / "silent.wav")
    rest = [replace(utterance, history=()) for utterance in utterances if utterance.id != target.id]
    write_manifest(tmp_path / "u.jsonl", [target, *rest])
    with pytest.raises(
        InvalidAudioError,
        match=rf"mixture 000000-{target.id}: utterance {target.id} .*silent\.wav\) is silent",
    ):
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
        ({"absent_probability": 1.2}, "absent_probability: got 1.2, expected a share between 0 and 1"),
        ({"overlap": (0.5, 1.2)}, r"overlap: got \[0.5, 1.2\], expected ratios between 0 and 1"),
        (
            {"list": Path("l.txt"), "same_gender_probability": 0.5},
            "got 0.5 with a list, which says who talks",
        ),
        ({"bank": Path("rirs")}, "bank and rooms: got both"),
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
        ("rooms.rt60=[0.2,0.3]", "did you mean rooms.rt60_s? options here: rooms."),
        ("+novel=1", "unknown option novel; "),
        ("talkers=two", "talkers: got two, expected a whole number"),
        ("target=wet", "target: got wet, expected one of dry, early, reverberant"),
        ("rooms.rt60_s=0.3", "rooms.rt60_s: got 0.3, expected a list of 2"),
        ("rooms.length_m=[3,4]", "rooms.rt60_s is missing"),
        ("noise.snr_db=[0,5]", "neither of noise.folder and noise.files"),
        ("split=nowhere", "no record of split 'nowhere'"),
        ("engine=fast", "engine: got fast, expected one of serial, pool, ray"),
        ("workers=many", "workers: got many"),
        ("ray_address=host:6379", "got the address host:6379 for the engine serial, expected none"),
        ("preset=paperr", "Available options in 'preset': none paper telephone voice_note"),
        ("channel.opus_kbps=[16,900]", "channel.opus_kbps: got [16.0, 900.0], expected 6 to 128"),
        ("bank=nowhere", "bank nowhere: no rirs.json in it"),
        ("same_topic_probability=0.5", "same_topic_probability: got no utterance with a 'topic'"),
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
    assert "  preset: none, paper, telephone, voice_note (default: none)" in text


@pytest.mark.parametrize("preset", ["none", "paper", "telephone", "voice_note"])
def test_presets(made_up_utterances: Path, tmp_path: Path, preset: str) -> None:
    from cse.cli import main

    if preset == "voice_note":
        pytest.importorskip("av")
    command = ["simulate", f"utterances={made_up_utterances}", f"output={tmp_path}", "limit=2"]
    assert main([*command, f"preset={preset}", "max_duration_s=1.1"]) == 0
    settings = json.loads((tmp_path / "simulation.json").read_text())
    assert settings["sample_rate"] == (8000 if preset in ("paper", "telephone") else 16000)
    for record in read_mixtures(tmp_path / "mixtures.jsonl"):
        assert ("channel" in record.extra) == (preset in ("telephone", "voice_note"))
        if preset == "voice_note":
            assert 16 <= record.extra["channel"]["opus_kbps"] <= 32


def test_options_go_before_the_preset(made_up_utterances: Path, tmp_path: Path) -> None:
    from cse.cli import main

    command = ["simulate", f"utterances={made_up_utterances}", f"output={tmp_path}", "limit=1"]
    assert main([*command, "preset=voice_note", "channel.opus_probability=0", "sample_rate=8000"]) == 0
    (record,) = read_mixtures(tmp_path / "mixtures.jsonl")
    assert record.extra["channel"]["opus_kbps"] is None and record.sample_rate == 8000


# ---- several microphones, and noise that is somewhere


def test_all_microphones_hear_the_mixture_the_reference_first(
    made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig
) -> None:
    rooms = RoomConfig(rt60_s=(0.15, 0.2), microphones=3, array_radius_m=0.3)
    config = _config(noise, rooms, target="dry", limit=3)
    for record in render(made_up_utterances, tmp_path, config, progress=False):
        folder = record.mixture.parent
        assert record.target is not None
        for reference, name in ((record.mixture, "mixture_array"), (record.target, "target_array")):
            array = _pcm(folder / record.extra[name])
            assert array.shape == (len(_pcm(reference)), 3)
            assert np.array_equal(array[:, 0], _pcm(reference))
        # the dry target arrives at each microphone when it should, and as much weaker as its way is longer
        target = _pcm(folder / record.extra["target_array"]).T / 2**15
        room = record.extra["room"]
        ways_m = np.linalg.norm(np.subtract(room["microphones_m"], room["talkers_m"][0]), axis=1)
        for way_m, heard in zip(ways_m[1:], target[1:], strict=True):
            lags = np.correlate(heard, target[0], "full")
            later_s = (int(np.argmax(lags)) - len(heard) + 1) / record.sample_rate
            assert later_s == pytest.approx((way_m - ways_m[0]) / SPEED_OF_SOUND_M_PER_S, abs=1.5 / 8000)
            weaker = np.sqrt(np.mean(heard**2) / np.mean(target[0] ** 2))
            assert weaker == pytest.approx(ways_m[0] / way_m, rel=0.1)


def test_one_microphone_writes_no_array(made_up_utterances: Path, tmp_path: Path) -> None:
    (record,) = render(made_up_utterances, tmp_path, _config(limit=1), progress=False)
    assert not {"mixture_array", "target_array"} & set(record.extra)


def test_noise_sounds_from_its_own_place_in_the_room(
    made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig
) -> None:
    rooms = RoomConfig(rt60_s=(0.3, 0.3), microphones=2, array_radius_m=0.4)
    heard = {}
    for in_room in (True, False):
        config = _config(replace(noise, in_room=in_room), rooms, limit=2, audio_format="flac")
        records = render(made_up_utterances, tmp_path / str(in_room), config, progress=False)
        heard[in_room] = [_pcm(record.noise) for record in records if record.noise is not None]
        places = [len(record.extra["room"]["talkers_m"]) for record in records]
        assert places == ([3, 3] if in_room else [2, 2])
    assert all(len(noises) == 2 for noises in heard.values())
    # there from the first sample on, although its sound takes time to arrive
    assert all(np.std(noise[:200]) > 0.3 * np.std(noise) for noise in heard[True])


def test_a_bank_without_a_place_for_the_noise_is_refused(
    made_up_utterances: Path, tmp_path: Path, noise: NoiseConfig, bank: Path
) -> None:
    with pytest.raises(ConfigError, match=r"expected 4 or more, one of them for the noise.*talkers=4"):
        render(made_up_utterances, tmp_path, _config(noise, None, bank=bank, talkers=3), progress=False)
    config = _config(replace(noise, in_room=False), None, bank=bank, talkers=3, limit=1)
    assert len(render(made_up_utterances, tmp_path, config, progress=False)) == 1
