"""The offline scorer: a small network that was trained to tell which words continue a conversation."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from cse.building import instantiate
from cse.checkpoint import load_checkpoint, load_state
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
        return self.score_all([history], candidates, next_speakers=[next_speaker])[0]

    def score_all(
        self,
        histories: Sequence[Sequence[Turn]],
        candidates: Sequence[str],
        *,
        next_speakers: Sequence[str | None] | None = None,
    ) -> np.ndarray:
        """Score the same texts after several histories at once.

        Args:
            histories: B histories.
            candidates: S texts.
            next_speakers: Who speaks next after each history; None where nothing is known.

        Returns:
            (B, S) float64, each row as from `score`.
        """
        scores = np.zeros((len(histories), len(candidates)))
        spoken = [number for number, text in enumerate(candidates) if text.strip()]
        recent = [[turn for turn in own if turn.text.strip()][-self.max_turns :] for own in histories]
        known = [number for number, own in enumerate(recent) if own]
        if not known or not spoken:
            return scores
        speakers = next_speakers if next_speakers is not None else [None] * len(histories)
        found = self._compare(
            [recent[number] for number in known],
            [candidates[number] for number in spoken],
            [speakers[number] for number in known],
        )
        scores[np.ix_(known, spoken)] = found
        return scores

    def _compare(
        self, histories: Sequence[Sequence[Turn]], texts: Sequence[str], next_speakers: Sequence[str | None]
    ) -> np.ndarray:
        """(B, S) scores of texts with words after histories with turns."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        turns = [turn.text for own in histories for turn in own]
        embeddings = torch.from_numpy(self._minilm.embed([*turns, *texts])).to(self._device)
        columns = [
            {
                name: torch.tensor(values, device=self._device)
                for name, values in who_spoke(own, speaker).items()
            }
            for own, speaker in zip(histories, next_speakers, strict=True)
        ]
        told = {name: pad_sequence([one[name] for one in columns], batch_first=True) for name in columns[0]}
        lengths = torch.tensor([len(own) for own in histories], device=self._device)
        mask = torch.arange(int(lengths.max()), device=self._device) < lengths.unsqueeze(1)
        each = pad_sequence(list(embeddings[: len(turns)].split(lengths.tolist())), batch_first=True)
        compare = self._network.gain if self._corrected else self._network.compare
        with torch.inference_mode():
            context = self._network.contexts(each, mask, **told)
            return compare(context, self._network.candidates(embeddings[len(turns) :])).double().cpu().numpy()


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
