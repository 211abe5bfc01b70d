"""The offline scorer: a small network that was trained to tell which words continue a conversation."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from cse.checkpoint import instantiate, load_checkpoint, load_state
from cse.errors import CheckpointError
from cse.history import Turn
from cse.selection.minilm import MiniLMScorer

DEFAULT_SCORER = "next-turn-scorer"


class NextTurnScorer:
    """Scores a text by how much better it continues this conversation than others: a small network over MiniLM.

    The score is a gain: what the network finds for the text after the last turns, minus what it finds for the same
    text after many other conversations. So talk that would fit anywhere gains nothing, however fluent it is. It was
    trained as log-odds against turns of other conversations, with recognition errors in the text; where it fails is
    in its model card. Embeddings are kept (by a hash of the text, never the text), so that the next message of a chat
    costs one encoding.

    Args:
        model: A packaged name, folder or file with a `NextTurnNetwork`.
        corrected: False leaves out what the text gets after other conversations, to see what the correction brings.
        minilm: Embeds the texts, and keeps the embeddings; None makes one.
        device: Where the networks run, e.g. "cpu" or "cuda".

    Raises:
        MissingExtraError: The package with MiniLM's weights is not installed.
        CheckpointError: No such model, one of another kind, or MiniLM's weights are not the published ones.
    """

    name = "next-turn"

    def __init__(
        self,
        *,
        model: str | os.PathLike[str] = DEFAULT_SCORER,
        corrected: bool = True,
        minilm: MiniLMScorer | None = None,
        device: str = "cpu",
    ) -> None:
        from cse.selection.next_turn_network import NextTurnNetwork

        checkpoint = load_checkpoint(model)
        network = instantiate(checkpoint.config["model"])
        if not isinstance(network, NextTurnNetwork):
            raise CheckpointError(
                f"{model}: got a {type(network).__name__}, expected a NextTurnNetwork: a model made by "
                "egs/packaged/local/train_scorer.py"
            )
        load_state(network, checkpoint.state)
        self._network = network.eval().requires_grad_(False).to(device)
        self.max_turns = network.max_turns
        self._corrected = corrected
        self._device = device
        self._minilm = minilm if minilm is not None else MiniLMScorer(device=device)

    def score(
        self, history: Sequence[Turn], candidates: Sequence[str], *, next_speaker: str | None = None
    ) -> np.ndarray:
        """Gain that the history brings to each candidate.

        Args:
            history: Turns, oldest first; speakers may be unknown, and may speak twice in a row.
            candidates: S texts.
            next_speaker: Who says the text, as named in the history; None where that is not known.

        Returns:
            (S,) float64, about the log-odds that the text continues this conversation rather than another; 0 for a
            candidate without words, and where there is no history.
        """
        import torch

        scores = np.zeros(len(candidates))
        spoken = [number for number, text in enumerate(candidates) if text.strip()]
        recent = [turn for turn in history if turn.text.strip()][-self.max_turns :]
        if not recent or not spoken:
            return scores
        texts = [turn.text for turn in recent] + [candidates[number] for number in spoken]
        embeddings = torch.from_numpy(self._minilm.embed(texts)).to(self._device)
        told = {
            name: torch.tensor([own], device=self._device)
            for name, own in who_spoke(recent, next_speaker).items()
        }
        compare = self._network.gain if self._corrected else self._network.compare
        with torch.inference_mode():
            turns = embeddings[: len(recent)].unsqueeze(0)
            context = self._network.contexts(turns, torch.ones_like(turns[..., 0], dtype=torch.bool), **told)
            found = compare(context, self._network.candidates(embeddings[len(recent) :]))
        scores[spoken] = found[0].double().cpu().numpy()
        return scores


def who_spoke(turns: Sequence[Turn], next_speaker: str | None) -> dict[str, list[int]]:
    """What `NextTurnNetwork.contexts` is told about each turn: its age, and whether two speakers are the same.

    Args:
        turns: Oldest first, at least one.
        next_speaker: Who speaks next, where that is known.

    Example:
        >>> who_spoke([Turn("Hi", "Ana"), Turn("Hi", "Ben"), Turn("Lunch?")], "Ana")
        {'ages': [2, 1, 0], 'last': [0, 0, 0], 'following': [2, 1, 0]}
    """
    return {
        "ages": list(range(len(turns)))[::-1],
        "last": [_same(turn.speaker, turns[-1].speaker) for turn in turns],
        "following": [_same(turn.speaker, next_speaker) for turn in turns],
    }


def _same(speaker: str | None, other: str | None) -> int:
    if speaker is None or other is None:
        return 0
    return 2 if speaker == other else 1
