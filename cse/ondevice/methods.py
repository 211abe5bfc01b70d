"""The inference of `cse.inference`, with an exported network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cse.audio import Recording
from cse.encoders.voice import SpeakerEmbedding, VoiceEncoder
from cse.errors import ConfigError, MissingCueError
from cse.history import Turn
from cse.inference.cascade import Cascade, Chooses
from cse.inference.judged import choice_of
from cse.inference.method import Outcome, ShouldStop, WindowLengths
from cse.models.overlapping_windows import levelled, separate_windows
from cse.models.talker_tracks import NotedTracks
from cse.ondevice.description import Description
from cse.ondevice.network import OnnxNetwork

EncodeHistory = Callable[[Sequence[Turn], str | None], np.ndarray]
"""History, and the name of who speaks next where it is known, to tokens (k, D), the newest last; k may be 0."""


def window_lengths(description: Description) -> WindowLengths:
    """In samples."""
    rate = description.sample_rate
    return {
        "window": round(description.window_s * rate),
        "overlap": round(description.overlap_s * rate),
    }


class OnnxSeparateThenChoose(Cascade):
    """The cascade with an exported separator.

    Args:
        network: The separator.
        chooser: Tells which talker is meant.
    """

    def __init__(self, *, network: OnnxNetwork, chooser: Chooses) -> None:
        about = network.description
        super().__init__(chooser=chooser, sample_rate=about.sample_rate, talkers=about.talkers)
        self.network = network

    def separate(
        self, mixture: np.ndarray, should_stop: ShouldStop | None, *, quick: bool = False
    ) -> np.ndarray:
        """See `Cascade.separate`; always in a single pass, since devices are slow."""
        return separate_windows(
            lambda window: self.network.run(window)[0],
            mixture,
            sample_rate=self.sample_rate,
            dtype=mixture.dtype.type,
            should_stop=should_stop,
            **window_lengths(self.network.description),
        )


class OnnxUnderCues:
    """An exported extractor: what `cse.inference.under_cues` does, but for turn attribution.

    Recordings of several windows are judged by the mean over the windows, where the original judges the whole.

    Args:
        network: The extractor.
        encode_history: Makes the tokens of the history; None where they are not needed.
        voice_encoder: Embeds enrollments; None where they come as embeddings, or are not needed.
        abstain_below: A choice of lower probability is not to be relied on.
    """

    def __init__(
        self,
        *,
        network: OnnxNetwork,
        encode_history: EncodeHistory | None = None,
        voice_encoder: VoiceEncoder | None = None,
        abstain_below: float = 0.5,
    ) -> None:
        self.network = network
        self.encode_history = encode_history
        self.voice_encoder = voice_encoder
        self.abstain_below = abstain_below
        self.sample_rate = network.description.sample_rate
        self.talkers = network.description.talkers

    def extract(
        self,
        mixture: np.ndarray,
        history: Sequence[Turn] | None,
        *,
        enrollment: Recording | SpeakerEmbedding | None,
        target: str | None,
        should_stop: ShouldStop | None,
    ) -> Outcome:
        """See `Method.extract`."""
        cues = {**self._text(history, target), **self._speaker(enrollment)}
        if cues and not any(cues[name].any() for name in cues if name.endswith("_mask")) and not history:
            raise MissingCueError(
                f"{self.network.description.name} got nothing that it can use, expected a history or an enrollment"
            )
        tracks, judged = NotedTracks(sample_rate=self.sample_rate), []

        def separate(window: np.ndarray) -> np.ndarray:
            voices, logits = self.network.run(window, cues)
            judged.append(logits)
            return voices

        voices = separate_windows(
            separate,
            mixture,
            sample_rate=self.sample_rate,
            tracks=tracks,
            should_stop=should_stop,
            **window_lengths(self.network.description),
        )
        logits = np.mean(
            [logits[[*order, -1]] for logits, order in zip(judged, tracks.orders, strict=True)], axis=0
        )
        if self.network.description.combines:
            voices, logits = _combined(voices, logits)
        warnings = []
        if enrollment is not None and not self.network.description.embedding_size:
            warnings.append(f"{self.network.description.name} takes no enrollment: it was not used")
        choice = choice_of(logits, abstain_below=self.abstain_below, warnings=warnings)
        return Outcome(voices=list(levelled(voices, mixture)), choice=choice)

    def embed_voice(self, recording: Recording) -> SpeakerEmbedding:
        """See `Method.embed_voice`."""
        raise ConfigError(
            f"{self.network.description.name} is an exported model, which keeps no voices; use the model it was made of"
        )

    def _text(self, history: Sequence[Turn] | None, target: str | None) -> dict[str, np.ndarray]:
        """Tokens (1, K, D), the newest last, and their mask."""
        about = self.network.description
        if not about.text_tokens:
            return {}
        found = np.zeros((0, about.text_width), np.float32)
        if history:
            if self.encode_history is None:
                raise MissingCueError(
                    f"{about.name} got a history in words, expected tokens: an exported model has no text encoder; "
                    "pass encode_history"
                )
            found = np.asarray(self.encode_history(history, target), np.float32)[-about.text_tokens :]
        if found.ndim != 2 or found.shape[1] != about.text_width:
            raise MissingCueError(
                f"{about.name} got tokens of shape {found.shape} of the history, expected (k, {about.text_width})"
            )
        tokens = np.zeros((1, about.text_tokens, about.text_width), np.float32)
        mask = np.zeros((1, about.text_tokens), bool)
        if len(found):
            tokens[0, -len(found) :] = found
            mask[0, -len(found) :] = True
        return {"text": tokens, "text_mask": mask}

    def _speaker(self, enrollment: Recording | SpeakerEmbedding | None) -> dict[str, np.ndarray]:
        """An embedding (1, E) and its mask."""
        about = self.network.description
        if not about.embedding_size:
            return {}
        vector = np.zeros(about.embedding_size, np.float32)
        if isinstance(enrollment, SpeakerEmbedding):
            vector = enrollment.vector
        elif enrollment is not None:
            if self.voice_encoder is None:
                raise MissingCueError(
                    f"{about.name} got a recording as enrollment, expected an embedding: an exported model has no "
                    "voice encoder; pass voice_encoder, or a SpeakerEmbedding"
                )
            vector = self.voice_encoder.embed(enrollment.waveform, enrollment.sample_rate)
        if vector.shape != (about.embedding_size,):
            raise MissingCueError(
                f"{about.name} got an embedding of shape {vector.shape}, expected ({about.embedding_size},): take the "
                "voice encoder that the model was trained with"
            )
        return {
            "speaker": vector[np.newaxis].astype(np.float32),
            "speaker_mask": np.array([bool(vector.any())]),
        }


def _combined(voices: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All voices (S, T) as one (1, T), each by how likely it is meant, and logits (2,) of somebody and of nobody."""
    top = logits.max()
    weights = np.exp(logits - top)
    shares = (weights / weights.sum())[:-1]
    somebody = np.log(weights[:-1].sum()) + top
    return (shares @ voices)[np.newaxis], np.array([somebody, logits[-1]])
