"""The options by which `extract` and `evaluate` name their models."""

from __future__ import annotations

import argparse

from cse.errors import ConfigError
from cse.extractor import Extractor


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add --model, --transcriber, --scorer, --voice-encoder, --device, --precision and --quick."""
    group = parser.add_argument_group("models", "Nothing is downloaded unless its name begins with hf://")
    group.add_argument("--model", metavar="NAME|PATH", help="packaged name, folder, file or hf://owner/name")
    group.add_argument(
        "--transcriber", metavar="NAME|PATH",
        help="moonshine, pocketsphinx, or Whisper: folder or hf://owner/name (default: moonshine where installed)",
    )  # fmt: skip
    group.add_argument(
        "--scorer", metavar="PATH",
        help="causal language model: folder or hf://… (default: the packaged next-turn-scorer)",
    )  # fmt: skip
    group.add_argument(
        "--voice-encoder", metavar="PATH", help="ECAPA-TDNN: folder or hf://… (default: Resemblyzer)"
    )
    group.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, … (default: %(default)s)")
    group.add_argument(
        "--precision", default="float32", choices=["float32", "bfloat16"],
        help="bfloat16 is quicker where the processor has it (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--quick", action="store_true",
        help="take recordings apart in a single pass, not at several speeds: half the time, less exact",
    )  # fmt: skip


def load_extractor(options: argparse.Namespace) -> Extractor:
    """Build the extractor that these options name.

    Raises:
        ConfigError: If the device is unknown or not there.
        CheckpointError: If a model is.
    """
    import torch

    try:
        torch.zeros(1, device=options.device).item()  # which meta, a device without memory, cannot
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"--device: got {options.device!r}, expected cpu or a GPU that is there, e.g. cuda"
        ) from error
    return Extractor.from_pretrained(
        options.model,
        device=options.device,
        precision=options.precision,
        quick=options.quick,
        transcriber=options.transcriber,
        scorer=options.scorer,
        voice_encoder=options.voice_encoder,
    )
