"""Dynamic mixing: what a training mixture is made of, and that nothing but (seed, index) decides it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from cse.errors import ManifestError
from cse.manifest import read_utterances
from cse.testing.corpus import write_utterances
from cse.training.mixtures import DynamicMixtures, MixingConfig, ResumableSampler
from cse.training.waveform_cache import WaveformCache
from simulate.mixing import snr_db

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


def test_short_talkers_may_be_asked_to_begin_early(speech):
    def starts_s(**options) -> list[float]:
        items = [dataset(speech, segment_s=3.0, **options)[index] for index in range(20)]
        talkers = torch.cat([item["talkers"] for item in items])
        return ((talkers != 0).int().argmax(-1) / SAMPLE_RATE).tolist()

    assert max(starts_s()) > 1.0
    assert 0.1 < max(starts_s(max_delay_s=0.25)) < 0.4  # speech itself begins a little later
    assert max(starts_s(max_delay_s=0.0)) < 0.15


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
    from dataclasses import replace

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
    done = 0
    whole = list(ResumableSampler(items_done=lambda: done, epoch_items=12))
    assert whole == list(range(12))
    done = 6
    assert list(ResumableSampler(items_done=lambda: done, epoch_items=12)) == [6, 7, 8, 9, 10, 11]
    done = 12
    ranks = [
        list(ResumableSampler(items_done=lambda: done, epoch_items=12, rank=r, world_size=2)) for r in (0, 1)
    ]
    assert sorted(ranks[0] + ranks[1]) == list(range(12, 24))
    assert not set(ranks[0]) & set(ranks[1])
