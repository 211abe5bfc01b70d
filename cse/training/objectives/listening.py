"""Training the listeners by themselves, on voices that a separator might have left."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from cse.errors import ConfigError
from cse.models.selectors.listening import ListeningSelector
from cse.models.selectors.trusting import TrustingSelector
from cse.models.target_extractor import TargetExtractor, Voices
from cse.training.losses import contrastive_loss, neg_si_snr
from cse.training.objectives.cues import encode_cues, mean_over, place_in_batch, target_of
from cse.training.objectives.objective import Batch, Objective
from cse.training.objectives.trust import trust_loss


class Listening(Objective[TargetExtractor]):
    """Which voice belongs to which history, and to which enrollment, without separating: many times as many a second.

    An imperfect separation is made up: each true talker with a leak of the others. What comes out is a start for
    the training of the whole model.

    Args:
        leak_db: Range of the leak's level against the talker, in dB.
        ramp_steps: Steps in which the upper end of that range rises from the lower one: words are learned from clear
            speech first.
        wrong_enrollments: Share of made-up wrong enrollments, from which a selector that has both cues learns how far
            to trust them.
    """

    uses_whole_model: ClassVar[bool] = False
    steps: Tensor

    def __init__(
        self,
        *,
        leak_db: tuple[float, float] = (-30.0, -5.0),
        ramp_steps: int = 0,
        wrong_enrollments: float = 0.5,
    ) -> None:
        super().__init__()
        self.leak_db = leak_db
        self.ramp_steps = ramp_steps
        self.wrong_enrollments = wrong_enrollments
        self.register_buffer(
            "steps", torch.zeros((), dtype=torch.long)
        )  # a resumed training goes on with the ramp

    def loss(self, model: TargetExtractor, batch: Batch) -> dict[str, Tensor]:
        """From a batch of `cse.training.dialogue_mixtures`.

        Raises:
            ConfigError: If the model's selector does not listen.
        """
        selector = model.selector
        if not isinstance(selector, ListeningSelector | TrustingSelector):
            raise ConfigError(
                f"objective=listening got a {type(selector).__name__}, expected a selector that listens; take "
                "selector=listening, or selector=trusting for a model that takes enrollments"
            )
        assert model.text_cue is not None, "selectors that listen read histories"
        self.steps += 1
        voices = self._leaky(batch)
        histories = model.text_cue([history for histories in batch["histories"] for history in histories])
        words = selector.listener(voices, histories)
        talker = torch.arange(len(histories.present), device=words.device)
        terms = {"words": contrastive_loss(words.flatten(0, 1), torch.where(histories.present, talker, -1))}
        if isinstance(selector, TrustingSelector):
            enrollments = encode_cues(model, batch)["speaker"]
            enrolled = torch.where(enrollments.present, batch["target"], -1)
            alike = selector.voice_listener(voices, enrollments)
            terms["voices"] = contrastive_loss(alike.flatten(0, 1), place_in_batch(enrolled, alike.shape[1]))
            terms["trust"] = trust_loss(
                selector.trust,
                # the listeners learn from their own losses: here the voice would let them neglect the words
                words.detach().unflatten(2, voices.shape[:2]),
                alike.detach(),
                histories.present.view(voices.shape[:2]),
                enrolled,
                wrong=self.wrong_enrollments,
            )
        return terms

    def measure(self, model: TargetExtractor, batch: Batch) -> dict[str, Tensor]:
        """Whether the right voice is chosen, and by how many dB that one is above the mixture."""
        target, voices = target_of(batch), self._leaky(batch)
        chosen = model.judge(Voices(voices), **encode_cues(model, batch)).logits[:, :-1].argmax(1)
        voice = voices[torch.arange(len(chosen)), chosen]
        improvement = neg_si_snr(batch["mixture"], target) - neg_si_snr(voice, target)
        right = (chosen == batch["target"]).float()
        return mean_over(batch["target"] >= 0, si_sdri_db=improvement, selection_accuracy=right)

    def _leaky(self, batch: Batch) -> Tensor:
        """(B, S, T) talkers, each with the others a random number of dB below it; in evaluation the same number."""
        talkers: Tensor = batch["talkers"]
        others = talkers.sum(1, keepdim=True) - talkers
        low, high = self.leak_db
        risen = min(1.0, float(self.steps) / max(1, self.ramp_steps))
        share = risen * torch.rand(talkers.shape[:2]) if self.training else torch.tensor(0.75)
        leak_db = (low + (high - low) * share).to(talkers.device)
        ratio = talkers.square().mean(-1) / (others.square().mean(-1) + 1e-8)
        gain = ratio.sqrt() * 10 ** (leak_db / 20)
        return talkers + gain.unsqueeze(-1) * others
