"""`cse train`: from a Hydra config to a finished checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from cse.checkpoint import instantiate
from cse.cli.config import call, compose, plain, usage


def main(argv: list[str]) -> int:
    """Train with Hydra overrides, e.g. `experiment=separator data.utterances=[a.jsonl] output=exp/a`."""
    if not argv or {"-h", "--help"} & set(argv):
        print(usage("train", "cse train [experiment=NAME] [KEY=VALUE ...]"))
        return 0
    config = plain(compose("train", argv))
    from pytorch_lightning import seed_everything

    from cse.training.datamodule import DynamicMixingData
    from cse.training.losses import PITNegativeSISNR
    from cse.training.mixtures import MixingConfig
    from cse.training.system import SeparationSystem
    from cse.training.train import train

    seed_everything(config["seed"], verbose=False)
    output = Path(config["output"])
    data_config = dict(config["data"])
    mixing = call(MixingConfig, data_config.pop("mixing"), "data.mixing")
    for key in ("cache_dir", "noise"):
        if data_config.get(key):
            data_config[key] = Path(data_config[key])
    data_config["utterances"] = [Path(path) for path in data_config["utterances"]]
    data = call(DynamicMixingData, {**data_config, "mixing": mixing}, "data")
    model = instantiate(config["model"])
    system = call(SeparationSystem, {**config["system"], "model": model, "loss": PITNegativeSISNR()}, "system")
    run = {"system": system, "data": data, "model_config": config["model"], "output": output, "name": config["name"]}
    folder = call(train, {**config["trainer"], **run}, "trainer")
    print(folder)
    print(f"finished: cse extract AUDIO --history FILE --model {folder} -o OUT.wav", file=sys.stderr)
    return 0
