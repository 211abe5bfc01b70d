"""A scorer that asks a language model how much more likely the history makes a text."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from cse.encoders.language_model import DType
from cse.encoders.sources import TRANSFORMERS_FILES, model_folder, quiet_loading
from cse.errors import CheckpointError, one_line
from cse.history import Turn, likely_next_speaker, render_context


class CausalLMScorer:
    """Scores a text by how much more probable the conversation makes it: log p(text | history) − log p(text).

    Both are means over the text's own tokens. Without the second term, fluent but unrelated speech would beat
    a clumsy answer. The context is one line a turn and ends with the next speaker's name, in both terms. The
    oldest turns are left out if the context is too long for the model. Kim, Mira et al., "Contextual Speech
    Extraction", ICASSP 2025, choose by a language model's probability; the gain and the mean over own tokens
    are ours.

    Args:
        model: A folder with a causal language model of `transformers` (weights as safetensors), or
            `hf://organisation/name`, which downloads it.
        max_turns: How many of the last turns are read.
        max_tokens: Longest context and text together; the model's own limit holds too.
        device: Where the model runs.
        dtype: Precision of the weights; "auto" is that of the file.

    Raises:
        CheckpointError: no such folder, no language model in it, or the download failed.
    """

    name = "causal-lm"

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        max_turns: int = 100,
        max_tokens: int = 2048,
        device: str = "cpu",
        dtype: DType = "auto",
    ) -> None:
        folder = model_folder(model, files=TRANSFORMERS_FILES)
        self.max_turns = max_turns
        self._device = device
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            with quiet_loading():
                self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                network = AutoModelForCausalLM.from_pretrained(
                    folder, local_files_only=True, use_safetensors=True, dtype=dtype
                )
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"{model}: cannot load: {one_line(error)}; expected a causal language model and tokenizer"
            ) from error
        self._model = network.eval().requires_grad_(False).to(device)
        self._max_tokens = min(max_tokens, getattr(network.config, "max_position_embeddings", max_tokens))
        self._first = self._first_token()
        self._lock = threading.Lock()

    def score(
        self, history: Sequence[Turn], candidates: Sequence[str], *, next_speaker: str | None = None
    ) -> np.ndarray:
        """Gain in log-probability that the history brings to each candidate.

        Args:
            history: Turns, oldest first.
            candidates: S texts.
            next_speaker: Who says the text; None is guessed from the history.

        Returns:
            (S,) float64, nats per token; 0 for a candidate without words, and where there is no history.
        """
        scores = np.zeros(len(candidates))
        spoken = [number for number, text in enumerate(candidates) if text.strip()]
        if not history or not spoken:
            return scores
        speaker = next_speaker if next_speaker is not None else likely_next_speaker(history)
        texts = [self._encode(" " + " ".join(candidates[number].split())) for number in spoken]
        texts = [tokens[: self._max_tokens // 2] for tokens in texts]
        room = self._max_tokens - max(len(tokens) for tokens in texts)
        informed = self._log_probabilities(self._context(history, speaker, room), texts)
        uninformed = self._log_probabilities(self._context([], speaker, room), texts)
        scores[spoken] = informed - uninformed
        return scores

    def _context(self, history: Sequence[Turn], speaker: str | None, room: int) -> list[int]:
        """Tokens of as many of the last turns as fit into `room`, and of the line that the text continues."""
        kept, free = 0, room - len(self._encode(render_context([], next_speaker=speaker))) - len(self._first)
        for turn in reversed(history[-self.max_turns :]):
            free -= len(self._encode(render_context([turn]) + "\n"))
            if free < 0 and kept:
                break
            kept += 1
        context = render_context(history, max_turns=kept, next_speaker=speaker)
        if kept and speaker is None:
            context += "\n"
        tokens = self._encode(context)
        # only a single turn that is longer than the model's context is cut
        return self._first + tokens[max(0, len(tokens) - room + len(self._first)) :]

    def _log_probabilities(self, context: list[int], continuations: list[list[int]]) -> np.ndarray:
        """Mean log-probability of each continuation's tokens after the context, (S,) float64.

        Padding goes to the right: a causal model never looks at it, and the positions of real tokens stay as
        they are.
        """
        import torch

        longest = max(len(tokens) for tokens in continuations)
        padded = torch.zeros(len(continuations), longest, dtype=torch.long)
        own = torch.zeros(len(continuations), longest, dtype=torch.bool)
        for row, tokens in enumerate(continuations):
            padded[row, : len(tokens)] = torch.tensor(tokens)
            own[row, : len(tokens)] = True
        prompt = torch.tensor(context).expand(len(continuations), -1)
        ids = torch.cat([prompt, padded], dim=1).to(self._device)
        mask = torch.cat([torch.ones_like(prompt), own.long()], dim=1).to(self._device)
        with torch.inference_mode():
            # logits of the token before each continuation token; those of a long context would fill the
            # memory
            logits = self._model(input_ids=ids, attention_mask=mask, logits_to_keep=longest + 1).logits[
                :, :-1
            ]
            log_p = torch.log_softmax(logits.float(), dim=-1).cpu()
        chosen = log_p.gather(-1, padded.unsqueeze(-1)).squeeze(-1).double()
        means = torch.where(own, chosen, 0.0).sum(dim=1) / own.sum(dim=1)
        return np.asarray(means.numpy(), np.float64)

    def _encode(self, text: str) -> list[int]:
        # the tokenizer changes its settings while it works
        with self._lock:
            ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _first_token(self) -> list[int]:
        """What a text begins with: without it the first token would have no probability."""
        tokenizer: Any = self._tokenizer
        for token in (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id):
            if token is not None:
                return [int(token)]
        raise CheckpointError("the tokenizer has no begin-of-text token (bos, eos or pad), expected one")
