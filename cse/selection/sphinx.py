"""The offline transcriber: CMU PocketSphinx with the English models that its package carries."""

from __future__ import annotations

import re
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from cse.errors import MissingExtraError
from cse.selection.transcriber import SPEECH_RATE_HZ, Transcript, Word, prepare_speech, split_at_pauses

if TYPE_CHECKING:
    from pocketsphinx import Decoder

_FRAMES_PER_S = 100
_MIN_SAMPLES = SPEECH_RATE_HZ // 20
_PRONUNCIATION = re.compile(r"\(\d+\)$")


class PocketSphinxTranscriber:
    """Recognises English words with hidden Markov models: small, offline, fooled by noise.

    Huggins-Daines et al., "PocketSphinx: a free, real-time continuous speech recognition system for hand-held
    devices", ICASSP 2006. Takes about a fifth of the audio's duration on one core, whatever the number of
    threads: its decoder holds Python's lock. Threads may share the transcriber, each call has a decoder of
    its own.

    Args:
        max_segment_s: Longer audio is decoded in pieces, cut at pauses.

    Raises:
        MissingExtraError: pocketsphinx is not installed.
    """

    name = "pocketsphinx"

    def __init__(self, *, max_segment_s: float = 20.0) -> None:
        self._max_segment_s = max_segment_s
        self._idle: SimpleQueue[Decoder] = SimpleQueue()
        self._idle.put(_new_decoder())

    def transcribe(self, waveform: np.ndarray, sample_rate: int) -> Transcript:
        """Recognise the words of one voice.

        Args:
            waveform: (T,) float32, any level.
            sample_rate: in Hz.

        Returns:
            The words without silences, noises and marks of pronunciation, in lower case. Silence has none.
        """
        speech = prepare_speech(waveform, sample_rate)
        if speech is None:
            return Transcript()
        try:
            decoder = self._idle.get_nowait()
        except Empty:
            decoder = _new_decoder()
        words: list[Word] = []
        for start, end in split_at_pauses(speech, SPEECH_RATE_HZ, self._max_segment_s):
            if end - start >= _MIN_SAMPLES:
                words.extend(_decode(decoder, speech[start:end], start / SPEECH_RATE_HZ))
        # not in a finally: a decoder that failed may be in the middle of an utterance
        self._idle.put(decoder)
        return Transcript(tuple(words))


def _new_decoder() -> Decoder:
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise MissingExtraError(
            feature="offline transcription", extra="offline", package="pocketsphinx"
        ) from error
    return Decoder(loglevel="FATAL")


def _decode(decoder: Decoder, speech: np.ndarray, offset_s: float) -> list[Word]:
    # the running cepstral mean would carry over from whatever was decoded before
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw((speech * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    return [
        Word(
            text=_PRONUNCIATION.sub("", segment.word),
            confidence=min(1.0, segment.prob),
            start_s=offset_s + segment.start_frame / _FRAMES_PER_S,
            end_s=offset_s + (segment.end_frame + 1) / _FRAMES_PER_S,
        )
        for segment in decoder.seg() or ()
        if segment.word[0] not in "<[+"
    ]
