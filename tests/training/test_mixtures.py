"""Dynamic mixing: what a training mixture is made of, and that nothing but (seed, index) decides it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch

from cse.cli.config import call
from cse.errors import ConfigError, ManifestError
from cse.manifest import read_utterances
from cse.testing.corpus import write_utterances
from cse.training.mixer import Mixer
from cse.training.mixtures import DynamicMixtures, MixingConfig, Mixtures
from cse.training.sampler import ResumableSampler
from cse.training.waveform_cache import WaveformCache
from simulate.bank_making import BankConfig, make_bank
from simulate.mixing import snr_db
from simulate.rooms import RoomConfig

SAMPLE_RATE = 8000


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> WaveformCache:
    folder = tmp_path_factory.mktemp("corpus")
    manifest = write_utterances(folder, dialogues=6, sample_rate=SAMPLE_RATE)
    cache = WaveformCache(read_utterances(manifest), folder / "cache", SAMPLE_RATE)
    cache.build()
    return cache


def dataset(
    speech: WaveformCache, *, seed: int = 0, noise: WaveformCache | None = None, **options
) -> DynamicMixtures:
    config = MixingConfig(**{"talkers": 2, "segment_s": 0.5, **options})
    return DynamicMixtures(speech=speech, config=config, seed=seed, length=20, noise=noise)


@pytest.mark.parametrize("talkers", [2, 3])
def test_the_mixture_is_the_sum_of_its_talkers(speech, talkers):
    item = dataset(speech, talkers=talkers)[3]
    assert item["mixture"].shape == (SAMPLE_RATE // 2,)
    assert item["talkers"].shape == (talkers, SAMPLE_RATE // 2)
    assert torch.allclose(item["talkers"].sum(0), item["mixture"], atol=1e-6)
    assert item["mixture"].abs().max() == pytest.approx(0.9, abs=1e-5)


def test_an_item_is_the_same_every_time_and_in_every_copy(speech):
    one = dataset(speech)
    other = pickle.loads(pickle.dumps(one))  # as a data-loader worker gets it
    _ = one[7]
    assert torch.equal(one[5]["mixture"], other[5]["mixture"])
    assert not torch.equal(one[5]["mixture"], one[6]["mixture"])
    assert not torch.equal(one[5]["mixture"], dataset(speech, seed=1)[5]["mixture"])


def test_as_many_talk_as_the_weights_say_and_the_others_are_silent(speech):
    mixtures = dataset(speech, talkers=3, count_weights=(1, 0, 3), overlap_probability=0.5)
    items = [mixtures[index] for index in range(60)]
    there = torch.stack([item["talkers"] for item in items]).abs().amax(-1) > 0
    assert set(there.sum(1).tolist()) == {1, 3}
    assert there[:, 0].all(), "who is not there comes last"
    assert (there.sum(1) == 3).float().mean().item() == pytest.approx(0.75, abs=0.15)
    for item in items[:5]:
        assert torch.allclose(item["talkers"].sum(0), item["mixture"], atol=1e-6)


def test_levels_follow_the_paper_s_rule(speech):
    # speed 1 and long segments leave whole utterances, over which the SNR is defined
    items = [dataset(speech, speeds=(1.0,), segment_s=8.0)[i]["talkers"].numpy() for i in range(40)]
    levels = np.array([snr_db(target, interferer) for target, interferer in items])
    assert np.all(np.abs(levels) <= 5.01)
    assert 2.0 < levels.std() < 4.5
    assert abs(levels.mean()) < 2.0


def test_noise_is_at_the_level_that_was_asked_for(speech):
    noisy = dataset(speech, noise=speech, noise_probability=1.0, noise_snr_db=(10.0, 10.0))
    for index in range(5):
        item = noisy[index]
        talkers = item["talkers"].sum(0)
        assert snr_db(talkers.numpy(), (item["mixture"] - talkers).numpy()) == pytest.approx(10.0, abs=0.1)


def test_speed_changes_the_pitch(speech):
    slow, fast = (dataset(speech, speeds=(speed,))[2]["talkers"][0].numpy() for speed in (0.9, 1.1))
    peaks = [np.abs(np.fft.rfft(signal * np.hanning(len(signal)))).argmax() for signal in (slow, fast)]
    assert peaks[0] != peaks[1]


# ---- when talkers begin


class Tones:
    """Utterances of constant sound in place of a cache: where a talker is not zero, it talks."""

    sample_rate = SAMPLE_RATE

    def __init__(self, *lengths_s: float) -> None:
        self.utterances = [SimpleNamespace(speaker=str(number)) for number in range(len(lengths_s))]
        self._lengths = [round(length_s * SAMPLE_RATE) for length_s in lengths_s]

    def length(self, index: int) -> int:
        return self._lengths[index]

    def read(self, index: int, start: int = 0, samples: int | None = None) -> np.ndarray:
        sound = np.full(self._lengths[index], 0.1, np.float32)
        sound[0] = 0.2  # of a shifted one one sees how far
        return sound[start:] if samples is None else sound[start : start + samples]


def begins_and_ends_s(speech: Tones, *, count: int = 30, **options) -> tuple[np.ndarray, np.ndarray]:
    """When each talker begins and ends: (count, S) each; and the length of each mixture (count,)."""
    config = MixingConfig(**{"talkers": len(speech.utterances), "speeds": (1.0,), **options})
    mixer = Mixer(speech=speech, noise=None, config=config)
    voices = [[number] for number in range(len(speech.utterances))]
    found, lengths_s = [], []
    for index in range(count):
        mixed = mixer.mixture(voices, np.random.default_rng(index))
        lengths_s.append(len(mixed.mixture) / SAMPLE_RATE)
        found.append([np.flatnonzero(talker)[[0, -1]] + (0, 1) for talker in mixed.talkers])
    return np.array(found) / SAMPLE_RATE, np.array(lengths_s)


def test_talkers_begin_anywhere_or_as_early_as_asked():
    short = Tones(0.5, 0.5)
    assert 2.0 < begins_and_ends_s(short, segment_s=3.0)[0].max() <= 3.0
    times, lengths_s = begins_and_ends_s(short, segment_s=3.0, max_delay_s=0.25)
    assert 0.2 < times[..., 0].max() <= 0.25
    assert np.allclose(times[..., 1] - times[..., 0], 0.5)
    assert set(lengths_s) == {3.0}
    assert begins_and_ends_s(short, segment_s=3.0, max_delay_s=0.0)[0][..., 0].max() == 0.0


def test_a_mixture_may_end_with_its_last_talker():
    times, lengths_s = begins_and_ends_s(Tones(0.5, 1.0), segment_s=3.0, max_delay_s=0.5, padded=False)
    assert np.array_equal(times[..., 1].max(axis=1), lengths_s)
    assert len(set(lengths_s)) > 10
    assert set(begins_and_ends_s(Tones(9.0, 0.5), segment_s=3.0, max_delay_s=0.5, padded=False)[1]) == {3.0}


def test_half_of_the_mixtures_may_be_cut_to_the_shorter_talker():
    options = {"segment_s": 3.0, "max_delay_s": 0.0, "padded": False}
    times, lengths_s = begins_and_ends_s(Tones(0.5, 1.5), cut_probability=0.5, count=100, **options)
    assert set(lengths_s) == {0.5, 1.5}
    assert 0.35 < np.mean(lengths_s == 0.5) < 0.65
    assert np.array_equal(times[:, 1, 1], lengths_s)


def test_shifts_are_circular_and_as_frequent_and_long_as_asked():
    speech = Tones(1.0, 1.0)
    config = MixingConfig(
        talkers=2, segment_s=1.0, speeds=(1.0,), shift_probability=0.4, max_shift_s=0.25, max_delay_s=0.0
    )
    mixer = Mixer(speech=speech, noise=None, config=config)
    shifts = []
    for index in range(100):
        talkers = mixer.mixture([[0], [1]], np.random.default_rng(index)).talkers
        assert (talkers != 0).all(), "nothing is lost"
        loudest = talkers.argmax(axis=1)
        shifts += [(place + SAMPLE_RATE // 2) % SAMPLE_RATE - SAMPLE_RATE // 2 for place in loudest]
    shifts_s = np.array(shifts) / SAMPLE_RATE
    assert 0.3 < np.mean(shifts_s != 0) < 0.5
    assert -0.25 <= shifts_s.min() < -0.2 and 0.2 < shifts_s.max() <= 0.25


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("lengths_s", [(0.5, 1.0), (1.0, 1.0), (2.5, 2.5)])
def test_talkers_overlap_as_asked_and_all_fit(ratio, lengths_s):
    times, _ = begins_and_ends_s(
        Tones(*lengths_s), segment_s=3.0, overlap_probability=1.0, overlap=(ratio, ratio)
    )
    begins, ends = times[..., 0], times[..., 1]
    shared = (ends.min(axis=1) - begins.max(axis=1)).clip(0)
    assert np.allclose(shared, ratio * (ends - begins).min(axis=1), atol=2 / SAMPLE_RATE)
    assert ends.max() <= 3.0
    assert (
        len({tuple(order) for order in np.argsort(begins, axis=1)}) == (1 if ratio == 1.0 else 2)
        or ratio == 1.0
    )


def test_three_talkers_one_after_the_other_fit_too():
    times, _ = begins_and_ends_s(
        Tones(2.0, 2.0, 2.0), segment_s=3.0, overlap_probability=1.0, overlap=(0.0, 0.0)
    )
    assert np.allclose(times[..., 1] - times[..., 0], 1.0)


def test_a_batch_is_as_long_as_its_longest_mixture():
    items = [{"mixture": torch.ones(length), "talkers": torch.ones(2, length)} for length in (3, 5, 4)]
    batch = Mixtures.collate(items)
    assert batch["mixture"].sum(-1).tolist() == [3, 5, 4]
    assert batch["talkers"].shape == (3, 2, 5)
    assert not batch["mixture"][0, 3:].any()


# ---- noise


def test_noise_begins_anywhere_in_a_recording(speech):
    class Recording(Tones):
        read_at: ClassVar[list[tuple[int, int | None]]] = []

        def read(self, index: int, start: int = 0, samples: int | None = None) -> np.ndarray:
            self.read_at.append((start, samples))
            return super().read(index, start, samples)

    noise = Recording(100.0)
    noisy = dataset(speech, noise=noise, noise_probability=0.5)
    for index in range(40):
        assert torch.isfinite(noisy[index]["mixture"]).all()
    starts, samples = zip(*noise.read_at, strict=True)
    assert 10 <= len(starts) <= 30, "half of them"
    assert set(samples) == {SAMPLE_RATE // 2}, "and not the whole recording each time"
    assert len(set(starts)) == len(starts) and max(starts) > 50 * SAMPLE_RATE


# ---- rooms


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rooms") / "bank"
    config = BankConfig(rooms=RoomConfig(rt60_s=(0.2, 0.3)), talkers=3, sample_rate=SAMPLE_RATE)
    make_bank(folder, config, count=10, progress=False)
    return folder


def test_each_talker_has_a_place_of_its_own_in_a_room_of_the_split(bank):
    from simulate.bank import RirBank

    config = MixingConfig(talkers=2, reverberation_probability=1.0, bank=bank)
    for mixing, split, count in (
        (config, "train", 8), (config.for_validation(segment_s=1.0), "dev", 1),
    ):  # fmt: skip
        rooms = RirBank.load(bank, split=split)
        known = {
            rir[0].tobytes(): (number, place)
            for number in range(len(rooms))
            for place, rir in enumerate(rooms.room(number).rirs(SAMPLE_RATE).reverberant)
        }
        drawn = []
        for seed in range(40):
            rirs = mixing.rooms(SAMPLE_RATE).draw(2, np.random.default_rng(seed))
            assert rirs.wanted is None
            (one, here), (other, there) = (known[rir.tobytes()] for rir in rirs.heard)
            assert one == other and here != there
            drawn.append((one, here))
        assert {number for number, _ in drawn} == set(range(count))
        assert {place for _, place in drawn} == {0, 1, 2}


class Claps(Tones):
    """Utterances of one clap each: what is made of them are impulse responses."""

    def read(self, index: int, start: int = 0, samples: int | None = None) -> np.ndarray:
        sound = np.zeros(self._lengths[index] - start, np.float32)
        sound[0] = 0.9
        return sound[:samples]


@pytest.mark.parametrize("rooms", ["bank", "noise"])
@pytest.mark.parametrize("target", ["dry", "early", "reverberant"])
def test_what_is_wanted_is_the_beginning_of_what_is_heard(bank, rooms, target):
    config = MixingConfig(
        talkers=2, segment_s=0.6, speeds=(1.0,), max_delay_s=0.1, reverberation_probability=1.0, rt60_s=(0.3, 0.3),
        bank=bank if rooms == "bank" else None,
    )  # fmt: skip
    heard, wanted = (
        Mixer(speech=Claps(0.5, 0.5), noise=None, config=one)
        for one in (config, replace(config, target=target))
    )
    for seed in range(10):
        one, other = (mixer.mixture([[0], [1]], np.random.default_rng(seed)) for mixer in (heard, wanted))
        assert np.array_equal(one.mixture, other.mixture)
        assert np.allclose(one.mixture, one.talkers.sum(axis=0), atol=1e-6)
        assert other.talkers.dtype == np.float32
        for whole, part in zip(one.talkers, other.talkers, strict=True):
            if target == "reverberant":
                assert np.array_equal(whole, part)
                continue
            direct, loudest = int(np.abs(part).argmax()), np.abs(part).max()
            until = direct + (1 if target == "dry" else round(0.049 * SAMPLE_RATE))
            assert np.allclose(whole[:until], part[:until], atol=0.1 * loudest), "as loud as in the mixture"
            later = direct + round((0.01 if target == "dry" else 0.055) * SAMPLE_RATE)
            assert np.abs(part[later:]).max() < 0.05 * loudest < np.abs(whole[later:]).max() + 0.05


def test_decaying_noise_is_as_much_weaker_than_the_direct_sound_as_asked(speech):
    options = {"reverberation_probability": 1.0, "segment_s": 1.0, "direct_to_reverberant_db": (6.0, 6.0)}
    ratios_db = []
    for index in range(10):
        whole = dataset(speech, **options)[index]["talkers"].numpy()
        dry = dataset(speech, target="dry", **options)[index]["talkers"].numpy()
        ratios_db += [snr_db(one, rest) for one, rest in zip(dry, whole - dry, strict=True)]
    assert np.median(ratios_db) == pytest.approx(6.0, abs=1.5)  # of impulse responses; speech has a colour


def test_reverberation_is_convolution():
    from cse.training.reverberation import TrainingRirs, reverberate

    rng = np.random.default_rng(0)
    segments = rng.standard_normal((3, 500)).astype(np.float32)
    rirs = [rng.standard_normal(length).astype(np.float32) for length in (100, 700, 1)]
    early = [rir[:20] for rir in rirs]
    for got, responses in zip(reverberate(segments, TrainingRirs(rirs, early)), (rirs, early), strict=True):
        for row, segment, response in zip(got, segments, responses, strict=True):
            assert np.allclose(row, np.convolve(segment, response)[:500], atol=1e-4)


def test_a_bank_that_does_not_fit_is_refused(bank, tmp_path):
    def refused(rate: int = SAMPLE_RATE, **options) -> str:
        with pytest.raises(ConfigError) as caught:
            MixingConfig(**{"talkers": 2, "reverberation_probability": 1.0, "bank": bank, **options}).rooms(
                rate
            )
        return str(caught.value)

    assert "at 8000 Hz, expected 16000 Hz" in refused(16000)
    assert "rooms of 3 talkers, expected 4" in refused(talkers=4)
    assert "expected a folder made by cse rirs" in refused(bank=tmp_path)


# ---- the channel


def test_nothing_happens_behind_the_microphone_unless_asked(speech):
    assert not MixingConfig(talkers=2).has_channel
    quiet = dataset(speech, gain_db=(0.0, 0.0))
    assert torch.equal(quiet[0]["mixture"], dataset(speech)[0]["mixture"])


def test_gain_changes_talkers_too_and_the_rest_the_mixture_only(speech):
    clean = dataset(speech, segment_s=1.0)
    louder = dataset(speech, segment_s=1.0, gain_db=(-6.0, -6.0))
    clipped = dataset(speech, segment_s=1.0, clip_probability=1.0, clip_level=(0.5, 0.5))
    telephone = dataset(speech, segment_s=1.0, telephone_probability=1.0)
    for index in range(4):
        one, half = clean[index], louder[index]
        assert torch.allclose(half["mixture"], 10 ** (-6 / 20) * one["mixture"], atol=1e-6)
        assert torch.allclose(half["talkers"].sum(0), half["mixture"], atol=1e-5)
        assert clipped[index]["mixture"].abs().max() == pytest.approx(0.45, abs=1e-4)
        for other in (clipped, telephone):
            assert torch.equal(other[index]["talkers"], one["talkers"])
        spectra = [torch.fft.rfft(item["mixture"]).abs() for item in (one, telephone[index])]
        low = slice(0, 90)  # Hz: a second of sound
        assert spectra[1][low].square().sum() < 1e-3 * spectra[0][low].square().sum()


def test_opus_leaves_speech_in_its_place(speech):
    pytest.importorskip("av")
    clean, coded = dataset(speech, segment_s=1.0), dataset(speech, segment_s=1.0, opus_probability=1.0)
    for index in range(3):
        one, other = clean[index]["mixture"].numpy(), coded[index]["mixture"].numpy()
        assert not np.array_equal(one, other)
        around = [float(np.roll(other, lag) @ one) for lag in range(-4, 5)]
        assert int(np.argmax(around)) == 4, "not delayed"


def test_the_channel_s_share_is_drawn(speech):
    clean, some = dataset(speech), dataset(speech, clip_probability=0.5, clip_level=(0.3, 0.3))
    changed = [not torch.equal(clean[index]["mixture"], some[index]["mixture"]) for index in range(40)]
    assert 8 < sum(changed) < 32


# ---- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cut_probability": 1.5}, r"cut_probability: got 1.5, expected a share between 0 and 1"),
        ({"opus_probability": -1.0}, r"opus_probability: got -1.0, expected a share"),
        ({"speeds": ()}, r"speeds: got \[\], expected factors from 0.5 to 2"),
        ({"speeds": (0.0,)}, r"speeds: got \[0.0\]"),
        ({"overlap": (0.5, 1.5)}, r"overlap: got \[0.5, 1.5\], expected ratios between 0 and 1"),
        ({"noise_snr_db": (10.0, 0.0)}, r"noise_snr_db: got \[10.0, 0.0\], expected \[lowest, highest\]"),
        ({"count_weights": (1, 2, 3)}, r"count_weights: got \[1, 2, 3\], expected 2 numbers"),
        ({"rt60_s": (0.0, 0.0)}, r"rt60_s: got \[0.0, 0.0\], expected \[lowest, highest\], both above 0"),
        ({"max_delay_s": -1.0}, r"max_delay_s: got -1.0, expected 0 or more"),
        ({"max_shift_s": -1.0}, r"max_shift_s: got -1.0, expected 0 or more"),
        ({"padded": False}, r"padded: .* expected max_delay_s=SECONDS"),
        ({"bank": Path("rirs")}, r"bank: got rirs, .* expected reverberation_probability above 0"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        MixingConfig(talkers=2, **options)


def test_options_of_the_channel_are_options_of_mixing():
    config = call(MixingConfig, {"talkers": 2, "opus_kbps": [16, 24], "bank_split": "dev"}, "data.mixing")
    assert config.opus_kbps == (16.0, 24.0)
    with pytest.raises(
        ConfigError, match=r"data\.mixing\.target: got wet, expected one of dry, early, reverberant"
    ):
        call(MixingConfig, {"talkers": 2, "target": "wet"}, "data.mixing")


# ---- corpus and cache


def test_too_few_speakers_is_an_error_with_both_numbers(speech):
    speakers = len({utterance.speaker for utterance in speech.utterances})
    with pytest.raises(ManifestError, match=rf"of {speakers} speaker\(s\), expected at least {speakers + 1}"):
        dataset(speech, talkers=speakers + 1)


def test_cached_audio_is_the_file_s_audio(speech):
    from cse.audio import load_waveform

    original = load_waveform(speech.utterances[1].audio, SAMPLE_RATE)
    assert speech.length(1) == len(original)
    assert np.allclose(speech.read(1), original, atol=1e-4)
    assert np.allclose(speech.read(1, 100, 50), original[100:150], atol=1e-4)


def test_the_cache_is_made_once_and_anew_when_the_corpus_changes(speech, tmp_path):
    again = WaveformCache(speech.utterances, speech.path.parent, SAMPLE_RATE)
    before = again.path.stat().st_mtime_ns
    again.build()
    assert again.path.stat().st_mtime_ns == before
    assert WaveformCache(speech.utterances[:-1], speech.path.parent, SAMPLE_RATE).path != again.path


def test_a_file_that_cannot_be_decoded_leaves_no_half_cache(speech, tmp_path):
    from cse.errors import InvalidAudioError

    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF not really")
    cache = WaveformCache(
        [*speech.utterances, replace(speech.utterances[0], audio=broken)], tmp_path / "c", SAMPLE_RATE
    )
    with pytest.raises(InvalidAudioError, match=r"broken\.wav"):
        cache.build()
    assert list((tmp_path / "c").iterdir()) == []


def test_the_sampler_goes_on_where_it_stopped_and_ranks_share_nothing():
    left = range(12)
    whole = ResumableSampler(items=lambda: left, epoch_items=12)
    assert list(whole) == list(range(12))
    left = range(6, 12)
    assert list(whole) == [6, 7, 8, 9, 10, 11]
    left = range(12, 24)
    ranks = [list(ResumableSampler(items=lambda: left, epoch_items=12, rank=r, world_size=2)) for r in (0, 1)]
    assert sorted(ranks[0] + ranks[1]) == list(range(12, 24))
    assert not set(ranks[0]) & set(ranks[1])
