"""From a checkpoint to one ONNX file that runs without PyTorch."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cse.building import instantiate
from cse.checkpoint import Checkpoint, load_checkpoint, load_state
from cse.errors import CheckpointError, MissingExtraError, one_line
from cse.files import atomic_write
from cse.inference.method import Runtime
from cse.models.cont_ext import ContExt
from cse.models.filterbanks import Filterbank, LearnedFilterbank, STFTFilterbank
from cse.models.separator import Separator
from cse.models.target_extractor import TargetExtractor
from cse.models.windows import TRAINING_PEAK
from cse.ondevice.description import Description, Precision
from cse.ondevice.graphs import ExtractorGraph, SeparatorGraph, example_cues
from cse.ondevice.real_filterbanks import RealSTFT
from cse.ondevice.thresholds import thresholds

if TYPE_CHECKING:
    import onnx

OPSET = 17  # has LayerNormalization; every onnxruntime since 2022 reads it, the one for browsers too
_NOT_WHOLE = 7  # samples beyond a second in the example, so that no step of it fits by accident


def export_onnx(
    name_or_path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    precision: Precision = "float32",
) -> Description:
    """Write a model as one ONNX file, with all that is needed to run it in its metadata: complete or not at all.

    The graph goes from waveforms to waveforms of any length; Fourier transforms are in it, as convolutions. Encoders of
    cues are not: an extractor takes tokens and embeddings that were made before.

    Args:
        name_or_path: As `cse.checkpoint.load_checkpoint`.
        output: The file.
        precision: "float32"; "float16" stores weights in half precision and computes as before; "int8" computes the
            large products in 8 bits, with scales that follow the signal.

    Returns:
        What the file says of itself.

    Raises:
        CheckpointError: No such model, or none that can be exported.
        MissingExtraError: onnx, or for int8 onnxruntime, is not installed.
        CseError: The file cannot be written.
    """
    checkpoint = load_checkpoint(name_or_path)
    model = instantiate(checkpoint.config["model"])
    if not isinstance(model, Separator | TargetExtractor):
        raise CheckpointError(
            f"{checkpoint.name}: got a {type(model).__name__}, expected a Separator or a TargetExtractor; name a "
            "model made for extraction"
        )
    load_state(model, checkpoint.state)
    description = describe(model, checkpoint, precision)
    proto = to_onnx(model)
    if precision == "float16":
        from cse.ondevice.tidying import halve_weights

        halve_weights(proto)
    with atomic_write(output) as beside:
        if precision == "int8":
            from cse.ondevice.quantizing import quantized

            proto = quantized(proto)
        proto.doc_string = checkpoint.card  # with the licence, and whose speech the weights were trained on
        for key, value in description.to_metadata().items():
            proto.metadata_props.add(key=key, value=value)
        beside.write_bytes(proto.SerializeToString())
    return description


def describe(model: Separator | TargetExtractor, checkpoint: Checkpoint, precision: Precision) -> Description:
    """What the exported file will say of itself."""
    runtime = Runtime()
    text = model.text_cue if isinstance(model, TargetExtractor) else None
    speaker = model.speaker_cue if isinstance(model, TargetExtractor) else None
    return Description(
        kind="extractor" if isinstance(model, TargetExtractor) else "separator",
        name=checkpoint.name,
        sample_rate=model.sample_rate,
        talkers=model.talkers,
        precision=precision,
        weights_sha256=checkpoint.config["sha256"],
        peak=TRAINING_PEAK,
        window_s=runtime.window_s,
        overlap_s=runtime.overlap_s,
        text_tokens=0 if text is None else text.tokens,
        text_width=0 if text is None else text.width,
        max_turns=0 if text is None else text.max_turns,
        embedding_size=0 if speaker is None else speaker.embedding_size,
        combines=isinstance(model, ContExt),
        thresholds=thresholds(model.sample_rate),
        filterbank=_filterbank(model.filterbank),
        calibration=checkpoint.config.get("calibration"),
    )


def to_onnx(model: Separator | TargetExtractor) -> onnx.ModelProto:
    """Trace a model, for inference, into a graph in float32.

    Raises:
        CheckpointError: A part of it cannot be exported.
        MissingExtraError: onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError(feature="cse export onnx", extra="onnx", package="onnx") from error
    from cse.ondevice.tidying import tidy

    mixture = torch.randn(1, model.sample_rate + _NOT_WHOLE)
    if isinstance(model, Separator):
        graph: nn.Module = SeparatorGraph(model)
        inputs, outputs = {"mixture": mixture}, ["estimates"]
    else:
        graph = ExtractorGraph(model)
        inputs, outputs = {"mixture": mixture, **example_cues(model)}, ["voices", "logits"]
    # torch.export (dynamo=True) fails on asteroid's global layer norm and needs one more package
    options: dict[str, Any] = {
        "dynamo": False,
        "opset_version": OPSET,
        "input_names": list(inputs),
        "output_names": outputs,
        "dynamic_axes": {"mixture": {1: "samples"}, outputs[0]: {2: "samples"}},
    }
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        path = Path(folder) / "model.onnx"
        warnings.simplefilter("ignore")  # which branches are constant is tested for every network
        try:
            torch.onnx.export(graph.eval(), tuple(inputs.values()), path, **options)
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            raise CheckpointError(
                f"this {type(model).__name__} cannot be exported: {one_line(error)[:200]}"
            ) from error
        proto = onnx.load(path)
    windows = {
        f"{name}.filters": module.filters[0, 0].numpy()
        for name, module in graph.named_modules()
        if isinstance(module, RealSTFT)
    }
    tidy(proto, windows=windows)
    return proto


def _filterbank(filterbank: Filterbank) -> dict[str, Any]:
    if isinstance(filterbank, STFTFilterbank):
        return {
            "kind": "stft",
            "window": "square root of Hann",
            "window_samples": filterbank.window_size,
            "hop_samples": filterbank.hop_size,
        }
    assert isinstance(filterbank, LearnedFilterbank)
    return {
        "kind": "learned",
        "window_samples": filterbank.kernel_size,
        "hop_samples": filterbank.stride,
    }
