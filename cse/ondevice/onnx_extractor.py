"""Extraction without PyTorch: NumPy, SciPy, soundfile and onnxruntime."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cse.encoders.voice import VoiceEncoder
from cse.errors import ConfigError
from cse.extractor import Extractor
from cse.inference.cascade import Chooses
from cse.ondevice.even_chooser import EvenChooser
from cse.ondevice.methods import EncodeHistory, OnnxSeparateThenChoose, OnnxUnderCues
from cse.ondevice.network import OnnxNetwork

if TYPE_CHECKING:
    from cse.inference.method import Method


class OnnxExtractor(Extractor):
    """An `Extractor` whose network is a file of `cse export onnx`; nothing of it imports PyTorch.

    Args:
        network: The exported model.
        chooser: Tells which talker is meant, after a separator; e.g. a `cse.selection.chooser.Chooser` of parts that
            need no PyTorch. None returns the loudest, and says so.
        encode_history: Makes the tokens of the history, for an extractor.
        voice_encoder: Embeds enrollments, for an extractor.

    Raises:
        ConfigError: A part is given that the model has no use for.

    >>> extractor = OnnxExtractor.from_file("separator.onnx")  # doctest: +SKIP
    >>> result = extractor.extract("note.ogg", history=[])  # doctest: +SKIP
    >>> [candidate.waveform for candidate in result.candidates]  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        network: OnnxNetwork,
        chooser: Chooses | None = None,
        encode_history: EncodeHistory | None = None,
        voice_encoder: VoiceEncoder | None = None,
    ) -> None:
        about = network.description
        method: Method
        if about.kind == "separator":
            if encode_history is not None or voice_encoder is not None:
                raise ConfigError(
                    f"{about.name}: got an encoder of cues, expected none: a separator looks at no cues; give it to "
                    "the chooser"
                )
            method = OnnxSeparateThenChoose(network=network, chooser=chooser or EvenChooser())
        else:
            if chooser is not None:
                raise ConfigError(f"{about.name}: got a chooser, expected none: this model chooses by itself")
            method = OnnxUnderCues(
                network=network, encode_history=encode_history, voice_encoder=voice_encoder
            )
        super().__init__(method=method, name=about.name)
        self.description = about

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        chooser: Chooses | None = None,
        encode_history: EncodeHistory | None = None,
        voice_encoder: VoiceEncoder | None = None,
        threads: int = 0,
    ) -> OnnxExtractor:
        """Load a file of `cse export onnx`.

        Args:
            path: The file.
            chooser: As the class, like all that follows.
            threads: How many work on one recording; 0 is one a core.

        Raises:
            CheckpointError: No such file, damaged, or not of `cse export onnx`.
            MissingExtraError: onnxruntime is not installed.
            ConfigError: A part is given that the model has no use for.
        """
        return cls(
            network=OnnxNetwork(path, threads=threads),
            chooser=chooser,
            encode_history=encode_history,
            voice_encoder=voice_encoder,
        )
