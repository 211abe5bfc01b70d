"""The packaged model on two synthetic voices that talk at once: the words decide, while they are being said."""

from __future__ import annotations

import numpy as np
import pytest

from cse import Extractor, Turn
from cse.streaming import StreamingExtractor
from cse.testing.flite import flite_available, synthesize
from tests.streaming.conftest import stream_through

RATE = 16000
SPOKEN = {
    "slt": "The train to the harbour leaves at noon, so we could meet at the station at half past eleven.",
    "rms": "My computer keeps crashing whenever I open the big spreadsheet with the budget of this year.",
}
HISTORIES = {
    "slt": [Turn("Where could we meet on Saturday, and when does the train to the harbour leave?", "Ben")],
    "rms": [Turn("What is wrong with the computer in your office? Does the spreadsheet open?", "Ben")],
}


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    pytest.importorskip("moonshine_voice", reason='needs: pip install "cse[offline]"')
    if not flite_available():
        pytest.skip("needs the program flite")
    return Extractor.from_pretrained()


def si_sdr_db(estimate: np.ndarray, reference: np.ndarray) -> float:
    target = np.vdot(estimate, reference) / np.vdot(reference, reference) * reference
    return float(10 * np.log10(np.square(target).sum() / np.square(estimate - target).sum()))


@pytest.mark.slow
@pytest.mark.parametrize("wanted", ["slt", "rms"])
def test_the_voice_that_continues_the_conversation_comes_out(extractor, wanted):
    spoken = {voice: 0.4 * synthesize(text, voice=voice) for voice, text in SPOKEN.items()}
    samples = min(map(len, spoken.values()))
    voices = {voice: waveform[:samples] for voice, waveform in spoken.items()}
    mixture = sum(voices.values())
    stream = StreamingExtractor(extractor=extractor, history=HISTORIES[wanted], sample_rate=RATE)
    out = stream_through(stream, mixture, 1600)
    assert out.shape == mixture.shape
    choice = stream.choice
    assert choice is not None and choice.probability >= 0.8 and choice.transcript
    assert 2.0 <= choice.time_s < 4.5  # of 5.5
    begin = round(choice.time_s * RATE)
    assert not out[:begin].any()
    heard, reference = out[begin + 400 :], voices[wanted][begin + 400 :]
    assert si_sdr_db(heard, reference) > si_sdr_db(mixture[begin + 400 :], reference) + 1.0
    (other,) = voices.keys() - {wanted}
    assert si_sdr_db(heard, reference) > si_sdr_db(heard, voices[other][begin + 400 :]) + 6.0
