"""Put a trained model, its calibration and its card into one checkpoint folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cse.checkpoint import load_checkpoint, save_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="checkpoint folder of `cse train`")
    parser.add_argument("--calibration", type=Path, required=True, help="JSON of fit_calibration.py")
    parser.add_argument(
        "--metrics", type=Path, required=True, help="JSON of `cse evaluate` on the dev talkers"
    )
    parser.add_argument("--card", type=Path, required=True, help="model card with {names} of metrics in it")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()

    checkpoint = load_checkpoint(options.model)
    metrics = json.loads(options.metrics.read_text(encoding="utf-8"))
    numbers = {key: _written(value) for key, value in metrics.items()}
    parameters = sum(tensor.numel() for tensor in checkpoint.state.values())
    card = options.card.read_text(encoding="utf-8").format(parameters=f"{parameters:,}", **numbers)
    config = {
        **checkpoint.config,
        "name": options.output.name,
        "calibration": json.loads(options.calibration.read_text(encoding="utf-8")),
    }
    config.pop("sha256", None)  # of the weights; written anew
    save_checkpoint(options.output, config, checkpoint.state, card)
    print(options.output)


def _written(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_written(item) for item in value)}]"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
