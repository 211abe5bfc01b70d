"""The speaker cue: a sample of the wanted voice as one token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeGuard

import torch
from torch import Tensor, nn

from cse.encoders.voice import SILENCE_PEAK
from cse.errors import CheckpointError, InvalidAudioError
from cse.models.cues.cue import Cue


class SpeakerEncoder(Protocol):
    """Makes speaker embeddings; an `nn.Module` is trained and saved with the model, anything else is frozen.

    Attributes:
        sample_rate: Rate in Hz of the waveforms that it is given.
    """

    sample_rate: int

    def __call__(self, enrollments: Sequence[Tensor], /) -> Tensor:
        """N waveforms (T_i,) float on any device, none of them silent -> (N, embedding size) float."""
        ...


class SpeakerCue(nn.Module):
    """Tells a network how the wanted talker sounds: enrollment -> speaker embedding -> one token of width D.

    An enrollment that is None or silent is missing: its mask is False and its token zeros.

    Args:
        encoder: Waveforms to speaker embeddings.
        embedding_size: Numbers in one of its embeddings: 192 for the published ECAPA-TDNN, 256 for Resemblyzer.
        width: Width of the token, D.
        missing_is_zero_embedding: A missing enrollment is not masked, but has the token of an embedding of zeros,
            which is the bias of the projection.

    >>> from cse.models.cues.joint_speaker import JointSpeakerEncoder
    >>> encoder = JointSpeakerEncoder(sample_rate=8000, embedding_size=16, hidden=8)
    >>> cue = SpeakerCue(encoder=encoder, embedding_size=16, width=4)([torch.randn(5000), None])
    >>> cue.tokens.shape, cue.mask.tolist()
    (torch.Size([2, 1, 4]), [[True], [False]])
    """

    def __init__(
        self,
        *,
        encoder: SpeakerEncoder,
        embedding_size: int,
        width: int,
        missing_is_zero_embedding: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.embedding_size = embedding_size
        self.width = width
        self.missing_is_zero_embedding = missing_is_zero_embedding
        self.projection = nn.Linear(embedding_size, width)

    @property
    def sample_rate(self) -> int:
        """Rate in Hz of the enrollments."""
        return self.encoder.sample_rate

    def forward(self, enrollments: Sequence[Tensor | None]) -> Cue:
        """Encode B enrollments.

        Args:
            enrollments: Each (T_i,) float at `sample_rate`, of any length and level, or None where there is none.

        Returns:
            (B, 1, D), on the device of the weights.

        Raises:
            InvalidAudioError: If an enrollment is not one-dimensional.
            MissingExtraError: If the package that carries a frozen encoder is not installed.
            CheckpointError: If a frozen encoder cannot be loaded, or its embeddings have another size.
        """
        heard = [(number, waveform) for number, waveform in enumerate(enrollments) if _is_audible(waveform)]
        numbers, waveforms = [number for number, _ in heard], [waveform for _, waveform in heard]
        embeddings = self.projection.weight.new_zeros(len(enrollments), self.embedding_size)
        # an encoder that is trained takes part in every step: processes must agree on which weights have gradients
        if waveforms or isinstance(self.encoder, nn.Module):
            found = self._embed(waveforms)
            embeddings = embeddings.index_copy(
                0, torch.tensor(numbers, dtype=torch.long, device=found.device), found
            )
        present = torch.zeros(len(enrollments), dtype=torch.bool, device=embeddings.device)
        present[numbers] = True
        return self.of_embeddings(embeddings, present)

    def of_embeddings(self, embeddings: Tensor, present: Tensor | None = None) -> Cue:
        """Make the cue of speaker embeddings that are known already.

        Args:
            embeddings: (B, embedding size) float; zeros where there is none.
            present: (B,) bool, which of them there are; None means all.

        Returns:
            (B, 1, D).
        """
        tokens = self.projection(embeddings).unsqueeze(1)
        if present is None or self.missing_is_zero_embedding:
            return Cue.of(tokens)
        return Cue.of(tokens, present.unsqueeze(1))

    def _embed(self, waveforms: list[Tensor]) -> Tensor:
        found = self.encoder(waveforms)
        if found.shape[1] != self.embedding_size:
            raise CheckpointError(
                f"got speaker embeddings of {found.shape[1]} numbers from {type(self.encoder).__name__}, expected "
                f"{self.embedding_size}; set `embedding_size` of the speaker cue to {found.shape[1]} and train it anew"
            )
        return found.to(self.projection.weight)


def _is_audible(waveform: Tensor | None) -> TypeGuard[Tensor]:
    if waveform is None:
        return False
    if waveform.ndim != 1:
        raise InvalidAudioError(
            f"got an enrollment of shape {tuple(waveform.shape)}, expected one waveform (samples,); "
            "mix its channels down and give one enrollment an item"
        )
    return waveform.numel() > 0 and bool(waveform.abs().max() >= SILENCE_PEAK)
