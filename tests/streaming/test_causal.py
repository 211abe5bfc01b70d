"""A network that never looks ahead, in pieces: what it makes of the whole, in time, in bounded memory."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest
import torch

from cse.errors import ConfigError
from cse.models.overlapping_windows import levelled
from cse.streaming.causal import CausalEstimates, CausalSeparation
from cse.streaming.filterbanks import filterbank_stream
from tests.streaming.conftest import FILTERBANKS, causal_separator, cut, stream_through

CHUNKS = [1, 7, 160, 4096, (3, 1000, 1, 41, 2048, 16)]


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("filterbank", FILTERBANKS)
def test_pieces_give_what_the_whole_gives(noise, filterbank, chunk):
    mixture = noise[:1500] if chunk == 1 else noise
    separator = causal_separator(filterbank)
    whole = separator(torch.from_numpy(mixture).unsqueeze(0))[0].numpy()
    pieces = stream_through(CausalEstimates(separator=separator), mixture, chunk)
    assert pieces.shape == whole.shape
    np.testing.assert_allclose(pieces, whole, atol=1e-5)
    assert np.abs(whole).max() > 1e-3


@pytest.mark.parametrize("samples", [1, 5, 15, 16, 17, 23, 24, 1000, 1003])
@pytest.mark.parametrize("filterbank", ["learned", "stft"])
def test_every_length_comes_out_whole(noise, filterbank, samples):
    separator, mixture = causal_separator(filterbank), noise[:samples]
    whole = separator(torch.from_numpy(mixture).unsqueeze(0))[0].numpy()
    np.testing.assert_allclose(
        stream_through(CausalEstimates(separator=separator), mixture, 100), whole, atol=1e-5
    )


@pytest.mark.parametrize("filterbank", FILTERBANKS)
def test_a_sample_comes_out_within_the_latency_and_needs_no_more(noise, filterbank):
    """Everything up to t − latency is there at t, and is the same whatever comes after t."""
    separator = causal_separator(filterbank)
    stream, other = CausalSeparation(separator=separator), CausalSeparation(separator=separator)
    assert stream.latency in (15, 31)  # a frame but one sample
    at = 5003
    ready = stream.push(noise[:at])
    assert ready.shape[1] >= at - stream.latency
    later = other.push(np.concatenate([noise[:at], 30 * noise[at:]]))
    np.testing.assert_allclose(later[:, : ready.shape[1]], ready, atol=1e-5)
    same = stream.push(noise[at:])
    assert not np.allclose(later[:, ready.shape[1] :], same, atol=1e-3)


def test_the_voices_come_out_at_their_level(rng):
    """After a while as `levelled` has them, which needs the whole recording."""
    mixture = (0.1 * rng.standard_normal(48_000)).astype(np.float32)
    separator = causal_separator("stft")  # whose masks begin at one half
    estimates = stream_through(CausalEstimates(separator=separator), mixture, 1000)
    expected = levelled(estimates, mixture)[:, 32_000:]
    found = stream_through(CausalSeparation(separator=separator), mixture, (999, 13))[:, 32_000:]
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    assert np.abs(estimates[:, 32_000:] - expected).max() > 0.2 * np.abs(expected).max()


def test_memory_does_not_grow(noise):
    """All that a stream holds, as bytes, after half a second and after ten."""
    stream = CausalSeparation(separator=causal_separator())
    sizes = []
    for _ in range(20):
        for part in cut(noise, 480):
            stream.push(part)
        gc.collect()
        state = {
            "state": stream._stream._state,
            "frames": vars(stream._stream._frames)["_waiting"],
            "mixture": stream._mixture,
        }
        sizes.append(len(pickle.dumps(state)))
    assert max(sizes) <= sizes[0] + 200


def test_a_filterbank_without_a_stream_is_refused():
    class Other(type(FILTERBANKS["learned"]()).__mro__[1]):  # a Filterbank of another kind
        encode = features = apply_masks = decode = None

    with pytest.raises(ConfigError, match="got a Other"):
        filterbank_stream(Other())
