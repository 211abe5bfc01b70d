"""An exported network in onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cse.errors import CheckpointError
from cse.ondevice.description import Description
from cse.onnx_session import open_session


class OnnxNetwork:
    """Runs a file of `cse export onnx`. Threads may share it.

    Args:
        path: The file.
        threads: How many work on one recording; 0 is one a core.

    Attributes:
        description: What the file says of itself.

    Raises:
        CheckpointError: No such file, damaged, or not of `cse export onnx`.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int = 0) -> None:
        self._session = open_session(
            Path(path), threads=threads, feature="running an exported model", extra="onnx"
        )
        try:
            self.description = Description.from_metadata(self._session.get_modelmeta().custom_metadata_map)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        # a weight that is not used takes no part in the graph, and its input none in the file
        self._inputs = [each.name for each in self._session.get_inputs()]
        self._outputs = [each.name for each in self._session.get_outputs()]

    def run(self, mixture: np.ndarray, cues: Mapping[str, np.ndarray] | None = None) -> list[np.ndarray]:
        """All outputs for one window, without their batch.

        Args:
            mixture: (T,) float32 with a mean of 0 and the peak that the description says.
            cues: The other inputs by name; see `Description`.

        Returns:
            (S, T) float32, and from an extractor (S + 1,) logits.
        """
        given = {"mixture": mixture[np.newaxis].astype(np.float32, copy=False), **(cues or {})}
        outputs = self._session.run(self._outputs, {name: given[name] for name in self._inputs})
        return [output[0] for output in outputs]
