"""Put a trained separator, its calibration and its card into one checkpoint folder, in half precision."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cse.checkpoint import load_checkpoint, save_checkpoint
from cse.errors import CseError
from cse.models.stretches import stretches_of

NOT_MEASURED = "Not measured yet: `egs/packaged/local/evaluate.sh` writes this table."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="checkpoint folder of `cse train`")
    parser.add_argument(
        "--calibration", type=Path, help="JSON of fit_calibration.py, which needs a packed model first"
    )
    parser.add_argument(
        "--stretches", type=float, nargs="+", default=[1.0, 1.1],
        help="how many times as long a mixture is made; estimates are the mean over all (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--card", type=Path, required=True, help="model card with {parameters} and {results} in it"
    )
    parser.add_argument("--results", type=Path, help="Markdown of evaluate.sh")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()

    checkpoint = load_checkpoint(options.model)
    parameters = sum(tensor.numel() for tensor in checkpoint.state.values())
    results = options.results.read_text(encoding="utf-8").strip() if options.results else NOT_MEASURED
    card = options.card.read_text(encoding="utf-8").format(parameters=f"{parameters:,}", results=results)
    config = {
        **checkpoint.config,
        "name": options.output.name,
        "stretches": stretches_of({"stretches": options.stretches}, "--stretches"),
    }
    if options.calibration:
        config["calibration"] = json.loads(options.calibration.read_text(encoding="utf-8"))
    config.pop("sha256", None)  # of the weights; written anew
    # half the size; what is lost is 60 dB below the estimates
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in checkpoint.state.items()
    }
    save_checkpoint(options.output, config, state, card)
    print(options.output)


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
