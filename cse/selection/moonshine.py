"""The offline transcriber: Moonshine tiny, with the English weights that a package carries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from cse.encoders.sources import check_file_sha256, package_folder
from cse.selection.moonshine_network import DECODER, ENCODER, MoonshineNetwork
from cse.selection.moonshine_vocabulary import Token, join_words, read_vocabulary
from cse.selection.transcriber import SPEECH_RATE_HZ, Transcript, Word, prepare_speech, split_at_pauses

_VOCABULARY = "tokenizer.bin"
_SHA256 = {
    ENCODER: "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
    DECODER: "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
    _VOCABULARY: "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
}

# Silence on both sides: without it the first and the last word of a short turn are often misheard.
_MARGIN_S = 0.5
_MIN_SAMPLES = SPEECH_RATE_HZ // 20


class MoonshineTranscriber:
    """Recognises English words with a transformer of 27 million parameters: offline, robust, quick.

    Jeffries et al., "Moonshine: speech recognition for live transcription and voice commands", arXiv
    2410.15608, 2024. Takes about a thirtieth of the audio's duration on one core. Only the weights in the
    package moonshine-voice are used: its code asks for a sound card. Words come with capitals and punctuation,
    numbers as digits. A word's confidence is the product of its tokens' probabilities and of the square root of
    their geometric mean over the piece of speech; its times are rough: the words of a piece share its duration by
    their letters. Threads may share the transcriber.

    Args:
        max_segment_s: Longer audio is recognised in pieces, cut at pauses.
        threads: How many voices or pieces are recognised at once; None is as many as torch works with.

    Raises:
        MissingExtraError: moonshine-voice or onnxruntime is not installed.
        CheckpointError: The package is damaged, or of a release without these weights.
    """

    name = "moonshine"

    def __init__(self, *, max_segment_s: float = 15.0, threads: int | None = None) -> None:
        folder = _model_folder()
        for file, sha256 in _SHA256.items():
            check_file_sha256(folder / file, sha256)
        self._max_segment_s = max_segment_s
        self._threads = threads
        self._network = MoonshineNetwork(folder)
        self._vocabulary = read_vocabulary(folder / _VOCABULARY)

    def transcribe(self, waveform: np.ndarray, sample_rate: int) -> Transcript:
        """Recognise the words of one voice, (T,) float32 at any level and rate; silence has none."""
        return self.transcribe_batch([waveform], sample_rate)[0]

    def transcribe_batch(self, waveforms: Sequence[np.ndarray], sample_rate: int) -> list[Transcript]:
        """Recognise the words of several voices at once, each (T,) float32 at `sample_rate` Hz."""
        pieces: list[tuple[int, int, np.ndarray]] = []
        for voice, waveform in enumerate(waveforms):
            speech = prepare_speech(waveform, sample_rate)
            if speech is not None:
                cuts = split_at_pauses(speech, SPEECH_RATE_HZ, self._max_segment_s)
                pieces.extend((voice, start, speech[start:end]) for start, end in cuts)
        words: list[list[Word]] = [[] for _ in waveforms]
        with ThreadPoolExecutor(self._workers()) as pool:
            heard = pool.map(self._recognise, [speech for _, _, speech in pieces])
            for (voice, start, _), of_piece in zip(pieces, heard, strict=True):
                words[voice].extend(_later(word, start / SPEECH_RATE_HZ) for word in of_piece)
        return [Transcript(tuple(each)) for each in words]

    def _recognise(self, speech: np.ndarray) -> list[Word]:
        """The words of one piece of speech, with times from its start."""
        if len(speech) < _MIN_SAMPLES:
            return []
        tokens = self._network.recognise(np.pad(speech, round(_MARGIN_S * SPEECH_RATE_HZ)))
        words = join_words(tokens, self._vocabulary)
        letters = np.cumsum([0, *(len(text) for text, _ in words)])
        edges_s = letters / max(1, letters[-1]) * (len(speech) / SPEECH_RATE_HZ)
        return [
            Word(text, confidence, float(start_s), float(end_s))
            for (text, _), confidence, (start_s, end_s) in zip(
                words, _confidences([spoken for _, spoken in words]), pairwise(edges_s), strict=True
            )
        ]

    def _workers(self) -> int:
        if self._threads is not None:
            return self._threads
        import torch

        return torch.get_num_threads()


def _confidences(words: Sequence[Sequence[Token]]) -> list[float]:
    """How sure each word is: by its tokens and, where most is doubtful as in babble, by all of them."""
    sums = [sum(token.log_probability for token in tokens) for tokens in words]
    mean = sum(sums) / max(1, sum(map(len, words)))
    return [min(1.0, math.exp(each + mean / 2)) for each in sums]


def _later(word: Word, seconds: float) -> Word:
    return replace(word, start_s=word.start_s + seconds, end_s=word.end_s + seconds)


def _model_folder() -> Path:
    package = package_folder("moonshine_voice", feature="offline transcription", package="moonshine-voice")
    return package / "assets" / "tiny-en"
