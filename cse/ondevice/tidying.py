"""Making an exported graph smaller and more general, without changing what it computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

_STATES = 5  # from here on, the inputs of an LSTM node are its first states, which are zeros anyway
_MIN_NUMBERS = 256  # smaller weights are not worth a node of their own


def tidy(model: onnx.ModelProto, *, windows: Mapping[str, np.ndarray]) -> None:
    """Take out what is not needed: zeros for LSTMs (of one fixed batch), nodes nobody uses, Fourier transforms.

    Args:
        model: Is changed.
        windows: Which weights are the filters of a Fourier transform (see `RealSTFT`), by the window of each. They are
            computed when the model is loaded instead of stored: a megabyte for 512 samples.
    """
    for node in model.graph.node:
        if node.op_type == "LSTM":
            del node.input[_STATES:]
    for name, window in windows.items():
        _compute_filters(model.graph, name, window)
    _prune(model.graph)


def halve_weights(model: onnx.ModelProto) -> None:
    """Store the weights in half precision; they are made float32 when the model is loaded, and so is all arithmetic.

    This runs on every processor, and as fast as before, where few have half-precision arithmetic for every operator.
    """
    casts = []
    for weight in _large_weights(model.graph):
        name = weight.name
        values = numpy_helper.to_array(weight)
        limit = np.finfo(np.float16).max
        weight.CopyFrom(
            numpy_helper.from_array(np.clip(values, -limit, limit).astype(np.float16), f"{name}.half")
        )
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    _put_first(model.graph, casts)


def _large_weights(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    for weight in graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT and np.prod(weight.dims) >= _MIN_NUMBERS:
            yield weight


def _compute_filters(graph: onnx.GraphProto, name: str, window: np.ndarray) -> None:
    """Put a few small nodes in the place of a weight (2 · bins, 1, size): cosines over negative sines, windowed."""
    stored = [weight for weight in graph.initializer if weight.name == name]
    if not stored:  # that of an encoder, which is not in the graph
        return
    graph.initializer.remove(stored[0])
    size = len(window)
    constants: dict[str, np.ndarray] = {
        "bins": np.arange(size // 2 + 1, dtype=np.int64)[:, None, None],
        "samples": np.arange(size, dtype=np.int64)[None, None],
        "size": np.array(size, np.int64),
        "angle": np.array(2 * np.pi / size, np.float32),
        "window": window.astype(np.float32),
    }
    graph.initializer.extend(
        numpy_helper.from_array(value, f"{name}.{key}") for key, value in constants.items()
    )
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Mul", ["bins", "samples"], "products", {}),
        ("Mod", ["products", "size"], "steps", {}),
        ("Cast", ["steps"], "numbers", {"to": onnx.TensorProto.FLOAT}),
        ("Mul", ["numbers", "angle"], "angles", {}),
        ("Cos", ["angles"], "cosines", {}),
        ("Sin", ["angles"], "sines", {}),
        ("Neg", ["sines"], "negative", {}),
        ("Concat", ["cosines", "negative"], "basis", {"axis": 0}),
    ]
    nodes = [
        helper.make_node(operator, [f"{name}.{key}" for key in inputs], [f"{name}.{output}"], **attributes)
        for operator, inputs, output, attributes in steps
    ]
    windowed = helper.make_node("Mul", [f"{name}.basis", f"{name}.window"], [name])
    _put_first(graph, [*nodes, windowed])


def _put_first(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def _prune(graph: onnx.GraphProto) -> None:
    """Remove nodes whose results nobody uses, and then weights."""
    wanted = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted.update(_inputs(node))
    del graph.node[:]
    graph.node.extend(reversed(kept))
    weights = [weight for weight in graph.initializer if weight.name in wanted]
    del graph.initializer[:]
    graph.initializer.extend(weights)


def _inputs(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, also within its branches."""
    yield from node.input
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in attribute.g.node:
                yield from _inputs(inner)
            yield from (output.name for output in attribute.g.output)
