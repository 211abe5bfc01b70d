"""Moonshine's two networks in onnxruntime: speech to states, states to tokens, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cse.onnx_session import open_session
from cse.selection.moonshine_vocabulary import END, START, TEXT_TOKENS, Token
from cse.selection.transcriber import SPEECH_RATE_HZ

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ENCODER, DECODER = "encoder_model.ort", "decoder_model_merged.ort"

_PAST, _PRESENT = "past_key_values", "present"

_TOKENS_PER_S = 6.5  # the authors' limit, for speech with some silence around it
# A phrase is said in a loop when it comes so often in a row and has so many tokens in all.
_LOOP_TIMES, _LOOP_TOKENS = 3, 12


class MoonshineNetwork:
    """Encoder and decoder, with the likeliest token taken at each step. Threads may share it.

    Each call works on one thread, for the products of one step are small; callers that have several pieces of speech
    give them to several threads.

    Args:
        folder: Has the two networks.

    Raises:
        CheckpointError: onnxruntime cannot read them.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._encoder = _session(folder / ENCODER)
        self._decoder = _session(folder / DECODER)
        inputs = [each for each in self._decoder.get_inputs() if each.name.startswith(_PAST)]
        # (1, heads, 0, width): nothing remembered yet
        self._empty = {
            each.name: np.zeros((1, each.shape[1], 0, each.shape[3]), np.float32) for each in inputs
        }
        self._own = [name for name in self._empty if ".decoder." in name]

    def recognise(self, speech: np.ndarray) -> list[Token]:
        """Tokens of what is said, without start and end; a loop is left once it is found.

        Args:
            speech: (T,) float32 at 16 kHz, 15 s at most, with some silence at both ends.
        """
        waveform = speech[None].astype(np.float32)
        (states,) = self._encoder.run(
            None, {"input_values": waveform, "attention_mask": np.ones(waveform.shape, np.int64)}
        )
        return self._decode(states, round(len(speech) / SPEECH_RATE_HZ * _TOKENS_PER_S))

    def _decode(self, states: np.ndarray, longest: int) -> list[Token]:
        # the mask is broadcast over the states: all of them are speech
        fixed = {"encoder_hidden_states": states, "encoder_attention_mask": np.ones((1, 1), np.int64)}
        memory, tokens = dict(self._empty), [START]
        heard: list[Token] = []
        while len(heard) < longest:
            # the states' keys and values are made in the first step and stay
            changed = list(memory) if not heard else self._own
            logits, *present = self._decoder.run(
                ["logits", *(name.replace(_PAST, _PRESENT) for name in changed)],
                {
                    "input_ids": np.array([tokens[-1:]], np.int64),
                    "use_cache_branch": np.array([bool(heard)]),
                    **fixed,
                    **memory,
                },
            )
            memory.update(zip(changed, present, strict=True))
            token = _likeliest(logits[0, -1, :TEXT_TOKENS])
            if token.number == END:
                break
            heard.append(token)
            tokens.append(token.number)
            if extra := loop_length(tokens):
                return heard[:-extra]
        return heard


def loop_length(tokens: Sequence[int]) -> int:
    """How many tokens at the end only repeat the ones before them; 0 where nothing is said in a loop.

    Example:
        >>> loop_length([7, 8, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4])
        8
        >>> loop_length([7, 8, 1, 1, 1])
        0
    """
    for period in range(1, len(tokens) // _LOOP_TIMES + 1):
        repeated = 0  # tokens that equal the one a period earlier
        while repeated < len(tokens) - period and tokens[-1 - repeated] == tokens[-1 - repeated - period]:
            repeated += 1
        times = repeated // period + 1
        if times >= _LOOP_TIMES and times * period >= _LOOP_TOKENS:
            return (times - 1) * period
    return 0


def _likeliest(logits: np.ndarray) -> Token:
    number = int(logits.argmax())
    return Token(number, -float(np.log(np.exp(logits - logits[number]).sum())))


def _session(path: Path) -> InferenceSession:
    return open_session(path, threads=1, feature="offline transcription", extra="offline")
