"""Opening networks in onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cse.errors import CheckpointError, MissingExtraError, one_line

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_FATAL = 4  # onnxruntime prints what it also raises


def open_session(path: Path, *, threads: int, feature: str, extra: str) -> InferenceSession:
    """Load a network for the processor.

    Args:
        path: The file, `.onnx` or `.ort`.
        threads: How many work on one operator; 0 is one a core.
        feature: What needs it, for the message.
        extra: What installs onnxruntime.

    Raises:
        CheckpointError: No such file, or onnxruntime cannot read it.
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(feature=feature, extra=extra, package="onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no class in common
        raise CheckpointError(
            f"{path}: onnxruntime {onnxruntime.__version__} cannot read it: {one_line(error)}; install the versions "
            f'of "cse[{extra}]"'
        ) from error
