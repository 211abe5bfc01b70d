"""`cse export onnx`: a model as one file that runs on a phone, in a browser, or anywhere without PyTorch.

`cse export browser`: the same with all that a browser needs to run it, in a folder from which the service gives it to
its page.
"""

from __future__ import annotations

import argparse
import typing
from pathlib import Path

from cse.checkpoint import DEFAULT_MODEL
from cse.cli.parser import Parser
from cse.errors import ConfigError
from cse.ondevice.description import Precision


def main(argv: list[str]) -> int:
    """Parse, export, report."""
    options = _parser().parse_args(argv)
    (_export_onnx if options.form == "onnx" else _export_browser)(options)
    return 0


def _export_onnx(options: argparse.Namespace) -> None:
    if options.runtime is not None:
        raise ConfigError("got --runtime, expected none: a single file comes without a runtime")
    if options.output is None:
        raise ConfigError("-o: got none, expected .onnx at the end of a name: -o FILE.onnx")
    if Path(options.output).suffix != ".onnx":
        raise ConfigError(
            f"-o {options.output}: got another kind of file, expected .onnx at the end of its name"
        )
    from cse.ondevice.export import export_onnx

    output = Path(options.output)
    about = export_onnx(options.model, output, precision=options.precision or "float32")
    megabytes = output.stat().st_size / 1e6
    print(
        f"{output}: {about.name}, {about.kind} of {about.talkers} talkers, {about.precision}, {megabytes:.1f} MB"
    )


def _export_browser(options: argparse.Namespace) -> None:
    from cse.ondevice.browser import FILES, export_browser

    manifest = export_browser(
        options.model, options.output or FILES, precision=options.precision or "int8", package=options.runtime
    )
    parts = (
        f"{part['file']} {part['bytes'] / 1e6:.1f} MB" for part in (manifest["model"], manifest["runtime"])
    )
    print(f"{options.output or FILES}: {', '.join(parts)}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="cse export", description="Write a model in another form.")
    parser.add_argument(
        "form", choices=["onnx", "browser"],
        help="ONNX, opset 17: one file, from samples to samples; or a folder with this and what a browser needs to run "
        "it, for the page of the service (fetches onnxruntime-web by npm)",
    )  # fmt: skip
    parser.add_argument(
        "model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL",
        help="packaged name, folder, file or hf://owner/name (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="where to: onnx needs a file that ends in .onnx; browser takes a folder (default: where cse serve looks)",
    )
    parser.add_argument(
        "--precision", choices=typing.get_args(Precision),
        help="float16: half the size, as quick, next to no loss; int8: smallest and quickest, at a small loss "
        "(default: float32, for browsers int8)",
    )  # fmt: skip
    parser.add_argument(
        "--runtime",
        type=Path,
        metavar="FILE",
        help="what npm pack onnxruntime-web fetched, where npm cannot fetch it now",
    )
    return parser
