"""`cse train`: from a Hydra config to a finished checkpoint."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cse.building import TRAINING_PARTS, instantiate
from cse.cli.config import call, compose, plain, usage
from cse.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from cse.training.mixture_data import MixtureData
    from cse.training.objectives.objective import Objective


def main(argv: list[str]) -> int:
    """Train with Hydra overrides, e.g. `experiment=separator data.utterances=[a.jsonl] output=exp/a`."""
    try:
        from pytorch_lightning.utilities import rank_zero_only
    except ImportError as error:
        raise MissingExtraError(feature="training", extra="train", package="pytorch-lightning") from error

    from cse.training.claim import claim_run
    from cse.training.memory import keep_freed_memory
    from cse.training.system import TrainingSystem
    from cse.training.train import last_checkpoint, train

    schema = _schema()
    if not argv or {"-h", "--help"} & set(argv):
        print(usage("train", "cse train [experiment=NAME] [KEY=VALUE ...]", schema=schema))
        return 0 if argv else 2
    options = _options(argv, schema)
    config = call(schema["trainer"], options["trainer"], "trainer")
    optimizer = call(schema["optimizer"], options["optimizer"], "optimizer")
    output, seed = Path(options["output"]), options["seed"]
    keep_freed_memory()
    _quiet()
    _seed(seed)
    data = _data(options["data"], schema)
    model = instantiate(options["model"])
    if data.mixing.talkers != model.talkers:
        raise ConfigError(
            f"data.mixing.talkers is {data.mixing.talkers}, the model separates {model.talkers}: expected the same; "
            "set `talkers`, which both follow"
        )
    if getattr(model, "text_cue", None) is not None:
        model.text_cue.cache_dir = Path(options["data"]["cache_dir"]) / "text"
    system = TrainingSystem(
        model=model, objective=instantiate(options["objective"], parts=TRAINING_PARTS), optimizer=optimizer
    )
    _check_silent_talkers(data.mixing, system.objective)
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        claim_run(
            output,
            last=last_checkpoint(output),
            name=options["name"],
            seed=seed,
            model=options["model"],
            objective=options["objective"],
            data=data,
            optimizer=optimizer,
            trainer=config,
        )
    folder = train(
        system=system,
        data=data,
        model_config=options["model"],
        output=output,
        name=options["name"],
        config=config,
    )
    if rank_zero_only.rank == 0:  # type: ignore[attr-defined]
        print(folder)
        print(f"finished: cse extract AUDIO --history FILE --model {folder} -o OUT.wav", file=sys.stderr)
    return 0


def _seed(seed: Any) -> None:
    import pytorch_lightning as pl

    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ConfigError(f"seed: got {seed}, expected a whole number from 0 to {2**32 - 1}")
    pl.seed_everything(seed, verbose=False)


def _data(options: Mapping[str, Any], schema: Mapping[str, Callable[..., Any]]) -> MixtureData:
    """What the config names, `DynamicMixingData` if it names nothing."""
    mixing_options = dict(options["mixing"])
    # the classes themselves, because `call` brings the options into the types of their signatures
    mixing_class = instantiate(
        {"_target_": mixing_options.pop("_target_"), "_partial_": True}, parts=TRAINING_PARTS
    ).func
    mixing = call(mixing_class, mixing_options, "data.mixing")
    data_class = schema["data"]
    if target := options.get("_target_"):
        data_class = instantiate({"_target_": target, "_partial_": True}, parts=TRAINING_PARTS).func
    others = {key: value for key, value in options.items() if key not in ("_target_", "mixing")}
    data: MixtureData = call(data_class, {**others, "mixing": mixing}, "data")
    return data


def _check_silent_talkers(mixing: Any, objective: Objective[Any]) -> None:
    weights = getattr(mixing, "count_weights", ())
    if any(weights[:-1]) and not objective.takes_silent_talkers:
        raise ConfigError(
            f"data.mixing.count_weights: got {list(weights)}, with which talkers are silent, expected an objective "
            f"that takes these, not {type(objective).__name__}; take objective=unknown_count, or leave it out"
        )


def _quiet() -> None:
    """Keep from the user what libraries say about themselves, so that warnings about the training stand out."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        "pkg_resources is deprecated",  # torchmetrics, through asteroid's pin
        ".*isinstance.treespec, LeafSpec",  # Lightning with this torch
        ".*does not have many workers",  # mixing in the training process is fast enough on a CPU
        ".*your dataloader is not resumable",  # it is: ResumableSampler counts on from the global step
        "Checkpoint directory .* exists and is not empty",  # that is what resuming means
    ):
        warnings.filterwarnings("ignore", message=message)


def _schema() -> dict[str, Callable[..., Any]]:
    """Which class gets which node of the config; what the config does not name is a default of the class."""
    from cse.training.datamodule import DynamicMixingData
    from cse.training.dialogue_mixtures import DialogueConfig
    from cse.training.system import OptimizerConfig
    from cse.training.train import TrainerConfig

    return {
        "data": DynamicMixingData,
        "data.mixing": DialogueConfig,
        "optimizer": OptimizerConfig,
        "trainer": TrainerConfig,
    }


def _options(argv: list[str], schema: dict[str, Callable[..., Any]]) -> dict[str, Any]:
    return plain(compose("train", argv, schema=schema))
