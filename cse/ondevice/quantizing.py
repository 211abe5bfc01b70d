"""Large products in 8 bits, with scales that follow the signal (dynamic quantization)."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from cse.errors import MissingExtraError

_OPERATORS = ["MatMul", "LSTM", "Conv"]
_PART = "/backbone/"  # filterbanks and listeners are small, and must be exact


def quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store and multiply the backbone's weights in 8 bits.

    Weights are unsigned: on processors without VNNI, onnxruntime's products of signed ones overflow.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise MissingExtraError(
            feature="cse export onnx --precision int8", extra="onnx", package="onnxruntime"
        ) from error
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "int8.onnx"
        quantize_dynamic(
            model,
            path,
            op_types_to_quantize=_OPERATORS,
            nodes_to_quantize=[node.name for node in model.graph.node if _is_large(node)],
            weight_type=QuantType.QUInt8,
        )
        return onnx.load(path)


def _is_large(node: onnx.NodeProto) -> bool:
    """A product in the backbone that mixes features: one that is done for each feature alone gains nothing."""
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    return node.op_type in _OPERATORS and _PART in node.name and groups == 1


@contextmanager
def _quiet() -> Iterator[None]:
    """Without its advice to preprocess, which the root logger would print."""
    logger = logging.getLogger()
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled
