"""`cse export onnx`: a model as one file that runs on a phone, in a browser, or anywhere without PyTorch."""

from __future__ import annotations

import argparse
import typing
from pathlib import Path

from cse.checkpoint import DEFAULT_MODEL
from cse.errors import ConfigError
from cse.ondevice.description import Precision


def main(argv: list[str]) -> int:
    """Parse, export, report."""
    options = _parser().parse_args(argv)
    output = Path(options.output)
    if output.suffix != ".onnx":
        raise ConfigError(f"{output}: got the suffix {output.suffix!r}, expected .onnx")
    from cse.ondevice.export import export_onnx

    about = export_onnx(options.model, output, precision=options.precision)
    megabytes = output.stat().st_size / 1e6
    print(
        f"{output}: {about.name}, {about.kind} of {about.talkers} talkers, {about.precision}, {megabytes:.1f} MB"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cse export", description="Write a model in another form.")
    parser.add_argument("form", choices=["onnx"], help="ONNX, opset 17: one file, from samples to samples")
    parser.add_argument(
        "model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL",
        help="packaged name, folder, file or hf://owner/name (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to, ending in .onnx")
    parser.add_argument(
        "--precision", default="float32", choices=typing.get_args(Precision),
        help="float16: half the size, as quick, next to no loss; int8: smallest and quickest, at a small loss "
        "(default: %(default)s)",
    )  # fmt: skip
    return parser
