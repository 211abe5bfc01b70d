"""A stronger transcriber: OpenAI's Whisper through transformers, from a folder or a hub repository."""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cse.encoders.sources import TRANSFORMERS_FILES, model_folder, quiet_loading
from cse.errors import CheckpointError, ConfigError, one_line
from cse.selection.transcriber import SPEECH_RATE_HZ, Transcript, Word, prepare_speech, split_at_pauses

_PIECE_S = 30.0  # what Whisper's encoder takes at once
_WORD_START = "Ġ"  # how byte-level BPE writes a leading blank

# Above the first, and below the second, a piece holds no speech; above the third, the text goes round in circles. As
# published.
_NO_SPEECH, _MEAN_LOG_P, _COMPRESSION = 0.6, -1.0, 2.4


@dataclass(frozen=True)
class _Heard:
    """What was decoded of one piece: tokens of text with their log-probabilities, and the probability of no speech."""

    tokens: list[tuple[int, float]]
    p_no_speech: float


class WhisperTranscriber:
    """Recognises words with a transformer trained on many languages; robust to noise, heavy on a CPU.

    Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023. A word's confidence is the
    product of its tokens' probabilities, that all of them are right; its times are those of the piece (at most 30 s)
    that it lies in. Where there is no speech, Whisper makes sentences up: a piece that it takes for silence and
    writes with little confidence has no words, nor has one whose text repeats itself (both as published).

    Args:
        model: A folder with a Whisper model of `transformers` (weights as safetensors), or
            `hf://organisation/name`, which downloads it, e.g. hf://openai/whisper-small.
        language: Of the speech, as "en" or "english"; None lets a multilingual model find out.
        batch_size: Pieces recognised at once.
        device: Where the model runs, e.g. "cpu" or "cuda".

    Raises:
        CheckpointError: no such folder, no Whisper model in it, or the download failed.
        ConfigError: a language that the model does not have.
    """

    name = "whisper"

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        language: str | None = None,
        batch_size: int = 8,
        device: str = "cpu",
    ) -> None:
        folder = model_folder(model, files=TRANSFORMERS_FILES)
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        try:
            with quiet_loading():
                self._processor: Any = WhisperProcessor.from_pretrained(folder, local_files_only=True)
                network = WhisperForConditionalGeneration.from_pretrained(
                    folder, local_files_only=True, use_safetensors=True
                )
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{model}: cannot load: {one_line(error)}; expected a Whisper model with its processor"
            ) from error
        self._model: Any = network.eval().requires_grad_(False).to(device)
        self._device = device
        self._batch_size = batch_size
        self._options = _language_options(self._model.generation_config, language, str(model))
        # for the tokenizer and the feature extractor, which are not made for threads
        self._lock = threading.Lock()

    def transcribe(self, waveform: np.ndarray, sample_rate: int) -> Transcript:
        """Recognise the words of one voice, (T,) float32 at any level and rate; silence has none."""
        return self.transcribe_batch([waveform], sample_rate)[0]

    def transcribe_batch(self, waveforms: Sequence[np.ndarray], sample_rate: int) -> list[Transcript]:
        """Recognise the words of several voices together, each (T,) float32 at `sample_rate` Hz."""
        pieces: list[tuple[int, int, np.ndarray]] = []
        for voice, waveform in enumerate(waveforms):
            speech = prepare_speech(waveform, sample_rate)
            if speech is not None:
                cuts = split_at_pauses(speech, SPEECH_RATE_HZ, _PIECE_S)
                pieces.extend((voice, start, speech[start:end]) for start, end in cuts)
        words: list[list[Word]] = [[] for _ in waveforms]
        for first in range(0, len(pieces), self._batch_size):
            batch = pieces[first : first + self._batch_size]
            heard = self._recognise([speech for _, _, speech in batch])
            for (voice, start, speech), piece in zip(batch, heard, strict=True):
                start_s, end_s = start / SPEECH_RATE_HZ, (start + len(speech)) / SPEECH_RATE_HZ
                if not self._is_made_up(piece):
                    words[voice].extend(self._words(piece.tokens, start_s, end_s))
        return [Transcript(tuple(heard)) for heard in words]

    def _recognise(self, pieces: list[np.ndarray]) -> list[_Heard]:
        """Decode pieces of speech, each at most 30 s."""
        import torch

        with self._lock:
            inputs = self._processor.feature_extractor(
                pieces, sampling_rate=SPEECH_RATE_HZ, return_tensors="pt", return_attention_mask=True
            ).to(self._device)
        with torch.inference_mode():
            # asked for as a dictionary, the sequences keep the tokens that decoding began with
            sequences = self._model.generate(
                **inputs, **self._options, num_beams=1, do_sample=False, return_dict_in_generate=True
            ).sequences
            logits = self._model(input_features=inputs["input_features"], decoder_input_ids=sequences).logits
            log_p = torch.log_softmax(logits[:, :-1].float(), dim=-1)
            own = log_p.gather(-1, sequences[:, 1:].unsqueeze(-1)).squeeze(-1)
        generation = self._model.generation_config
        # the token before that for "no timestamps"; asked right after the first token, whatever was decoded then
        p_no_speech = log_p[:, 0, generation.no_timestamps_token_id - 1].exp()
        # every token of text has a lower number than the first special one
        end = generation.eos_token_id
        return [
            _Heard(
                [(token, value) for token, value in zip(row[1:], values, strict=True) if token < end], silent
            )
            for row, values, silent in zip(
                sequences.tolist(), own.tolist(), p_no_speech.tolist(), strict=True
            )
        ]

    def _is_made_up(self, heard: _Heard) -> bool:
        """Whether what was decoded is rather Whisper's own invention."""
        if not heard.tokens:
            return False
        mean_log_p = np.mean([log_p for _, log_p in heard.tokens])
        if heard.p_no_speech > _NO_SPEECH and mean_log_p < _MEAN_LOG_P:
            return True
        with self._lock:
            text = self._processor.tokenizer.decode([token for token, _ in heard.tokens]).strip().encode()
        return len(text) > _COMPRESSION * len(zlib.compress(text))

    def _words(self, tokens: list[tuple[int, float]], start_s: float, end_s: float) -> list[Word]:
        """Join tokens into words, at blanks."""
        tokenizer = self._processor.tokenizer
        with self._lock:
            names = tokenizer.convert_ids_to_tokens([token for token, _ in tokens])
            groups: list[list[int]] = []
            for position, name in enumerate(names):
                if name.startswith(_WORD_START) or not groups:
                    groups.append([])
                groups[-1].append(position)
            texts = [
                tokenizer.decode([tokens[position][0] for position in group]).strip() for group in groups
            ]
        confidences = [float(np.exp(np.sum([tokens[position][1] for position in group]))) for group in groups]
        return [
            Word(text=text, confidence=min(1.0, confidence), start_s=start_s, end_s=end_s)
            for text, confidence in zip(texts, confidences, strict=True)
            if text
        ]


def _language_options(generation: Any, language: str | None, model: str) -> dict[str, str]:
    """What generation has to be told about the language; English-only models take no such option."""
    if not getattr(generation, "is_multilingual", False):
        if language not in (None, "en", "english"):
            raise ConfigError(
                f"{model}: got language={language!r}, but this model knows English only; leave it out"
            )
        return {}
    if language is None:
        return {"task": "transcribe"}
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    code = TO_LANGUAGE_CODE.get(language.lower(), language.lower())
    if f"<|{code}|>" not in generation.lang_to_id:
        known = ", ".join(sorted(name.strip("<|>") for name in generation.lang_to_id))
        raise ConfigError(f"{model}: got language={language!r}, expected one of: {known}")
    return {"task": "transcribe", "language": code}
