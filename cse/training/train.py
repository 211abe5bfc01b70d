"""One training run: fit, resume where it stopped, leave a checkpoint that `Extractor` can load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    Callback,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    TQDMProgressBar,
)
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import FSDPStrategy
from pytorch_lightning.utilities import rank_zero_info
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import nn

from cse.checkpoint import load_checkpoint, save_checkpoint
from cse.errors import CheckpointError, ConfigError, one_line
from cse.processor import has_bfloat16
from cse.training.claim import check_resumable
from cse.training.initial import load_initial
from cse.training.mixture_data import MixtureData
from cse.training.stopping import StopTogether
from cse.training.system import TrainingSystem
from simulate.checks import check_least, check_share

LAST = "last.ckpt"


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How long, where and in which precision to train.

    Attributes:
        max_steps: Optimiser steps in all.
        init_from: Checkpoints (packaged names or paths) whose weights training starts from: of each, the parts that the
            model has too; a later one overwrites, so a separator comes after a listener, whose backbone is untrained.
            Empty starts from scratch.
        ema_decay: Keep an exponential moving average of the weights, and finish with it; null does not.
        precision: Lightning's, e.g. 32-true or bf16-mixed; on a processor without bfloat16, which would take ten times
            as long, 32-true is taken for the latter.
        accelerator: Lightning's: auto, cpu, gpu, …
        devices: Processes on this machine.
        num_nodes: Machines.
        strategy: Lightning's; ddp for several processes. CONTRIBUTING.md has the commands.
        gradient_clip: Largest gradient norm.
        accumulate_batches: Batches a step.
        checkpoint_every_steps: Steps between two resumable checkpoints.
        compile_model: Let torch.compile fuse the network's operations (worth it on a GPU).
        progress_bar: Show one on stderr.

    Raises:
        ConfigError: A number that is too small, or a share that is none.
    """

    max_steps: int
    init_from: tuple[str, ...] = ()
    ema_decay: float | None = None
    precision: str = "32-true"
    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    strategy: str = "auto"
    gradient_clip: float = 5.0
    accumulate_batches: int = 1
    checkpoint_every_steps: int = 500
    compile_model: bool = False
    progress_bar: bool = True

    def __post_init__(self) -> None:
        for name in ("max_steps", "num_nodes", "accumulate_batches", "checkpoint_every_steps"):
            check_least(f"trainer.{name}", getattr(self, name), 1)
        check_least("trainer.gradient_clip", self.gradient_clip, 0)
        if self.ema_decay is not None:
            check_share("trainer.ema_decay", self.ema_decay)


def last_checkpoint(output: Path) -> Path:
    """The checkpoint that a run goes on from, if it is there."""
    return output / "checkpoints" / LAST


def train(
    *,
    system: TrainingSystem,
    data: MixtureData,
    model_config: Mapping[str, Any],
    output: Path,
    name: str,
    config: TrainerConfig,
) -> Path:
    """Train to `config.max_steps`, going on from `output`/checkpoints/last.ckpt where there is one.

    Args:
        system: Model, objective and optimiser.
        data: Mixtures.
        model_config: Constructor arguments of the model by `_target_`, for the finished checkpoint.
        output: Folder of this run: checkpoints/, tensorboard/ and model/, the finished checkpoint.
        name: Name of the model in its config and card.
        config: How to train.

    Returns:
        The folder of the finished checkpoint.

    Raises:
        ConfigError: If Lightning cannot train in this way here, a folder cannot be written to, or the trained weights
            are spread over processes (FSDP) and cannot be written as one model.
        CheckpointError: If the last checkpoint is damaged or of another network.
        KeyboardInterrupt: If the run was stopped by Ctrl-C or SIGTERM; the same call goes on from its last checkpoint.
    """
    if config.strategy == "ddp" and not system.objective.uses_whole_model:
        config = replace(config, strategy="ddp_find_unused_parameters_true")
    last = last_checkpoint(output)
    check_resumable(last, system)
    try:
        trainer = _trainer(config, output, steps_per_epoch=data.steps_per_epoch)
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError(f"trainer: {one_line(error)}; change trainer.* to what can be done here") from error
    if config.compile_model:
        system.model.compile()
    if not last.exists():
        load_initial(system.model, config.init_from)
    with _explained():
        trainer.fit(system, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    if isinstance(trainer.strategy, FSDPStrategy):
        raise ConfigError(
            f"trainer.strategy={config.strategy}: got weights spread over the processes, expected them in one; "
            f"type the same with trainer.strategy=auto trainer.devices=1, which writes {output / 'model'} from {last}"
        )
    _take_average(system, last, trainer.global_step)
    if not system.has_trained and _holds(output / "model", system.model):
        return output / "model"
    if system.validated_step != trainer.global_step:
        with _explained():
            trainer.validate(system, datamodule=data, verbose=False)
    if trainer.is_global_zero:
        results = {
            key.removeprefix("validation/"): float(value)
            for key, value in trainer.callback_metrics.items()
            if key.startswith("validation/")
        }
        card = _card(name, data, trainer.global_step, results)
        finished = {"name": name, "model": dict(model_config)}
        save_checkpoint(output / "model", finished, system.model.state_dict(), card)
    return output / "model"


def _take_average(system: TrainingSystem, last: Path, step: int) -> None:
    """Load the averaged weights where training had ended before: Lightning then leaves out what ends it."""
    if last.is_file():
        checkpoint = torch.load(last, map_location="cpu", weights_only=True, mmap=True)
        if checkpoint["global_step"] == step:
            system.load_state_dict(checkpoint["state_dict"])


def _holds(folder: Path, model: nn.Module) -> bool:
    """Whether the finished checkpoint is there, with the weights of this model."""
    try:
        finished = load_checkpoint(folder).state
    except CheckpointError:  # none, or a damaged one
        return False
    state = model.state_dict()
    return finished.keys() == state.keys() and all(
        torch.equal(tensor.cpu(), finished[name]) for name, tensor in state.items()
    )


@contextmanager
def _explained() -> Iterator[None]:
    """What Lightning raises, as what `train` raises."""
    try:
        yield
    except SystemExit as stop:  # what Lightning makes of Ctrl-C and SIGTERM; the latter with exit code 0
        raise KeyboardInterrupt from stop
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: {one_line(error)}; change trainer.* to what can be done here") from error
    except OSError as error:
        raise ConfigError(
            f"training: {one_line(error)}; expected files that can be read, and folders that can be written to"
        ) from error


def _precision(config: TrainerConfig) -> str:
    on_cpu = config.accelerator == "cpu" or (
        config.accelerator == "auto" and not torch.accelerator.is_available()
    )
    if config.precision == "bf16-mixed" and on_cpu and not has_bfloat16():
        rank_zero_info(
            "trainer.precision=bf16-mixed: this processor has no bfloat16, 32-true is quicker and taken"
        )
        return "32-true"
    return config.precision


def _trainer(config: TrainerConfig, output: Path, *, steps_per_epoch: int) -> pl.Trainer:
    callbacks: list[Callback] = [
        ModelCheckpoint(
            dirpath=output / "checkpoints",
            filename="step{step}",
            auto_insert_metric_name=False,
            save_last=True,
            save_top_k=1,
            monitor="step",
            mode="max",
            every_n_train_steps=config.checkpoint_every_steps,
        ),
        LearningRateMonitor(),
        RandomState(),
        StopTogether(),
    ]
    if config.ema_decay is not None:
        callbacks.append(EMAWeightAveraging(decay=config.ema_decay))
    if config.progress_bar:
        callbacks.append(TQDMProgressBar(refresh_rate=20))
    return pl.Trainer(
        max_steps=config.max_steps,
        limit_train_batches=steps_per_epoch * config.accumulate_batches,
        accelerator=config.accelerator,
        devices=config.devices,
        num_nodes=config.num_nodes,
        strategy=config.strategy,
        precision=_precision(config),  # type: ignore[arg-type]
        gradient_clip_val=config.gradient_clip,
        accumulate_grad_batches=config.accumulate_batches,
        callbacks=callbacks,
        logger=TensorBoardLogger(output, name="tensorboard", version=""),
        log_every_n_steps=20,
        enable_progress_bar=config.progress_bar,
        enable_model_summary=False,
        # batch norm sees the mixtures of all GPUs; on CPUs torch cannot, and each process normalises by its own
        sync_batchnorm=torch.cuda.is_available() and config.accelerator != "cpu",
        use_distributed_sampler=False,  # the data module shares out the indices itself, see ResumableSampler
        num_sanity_val_steps=0,
        default_root_dir=output,
    )


class RandomState(Callback):
    """Keeps torch's random state in the checkpoint, so that dropout goes on as if nothing had happened.

    Mixing draws from generators seeded by the item's index; no other random state is in use.
    """

    def on_save_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Called by Lightning."""
        checkpoint["random_state"] = {
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Called by Lightning."""
        self._loaded = checkpoint.get("random_state")

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Called by Lightning."""
        state = getattr(self, "_loaded", None)
        if state is not None:
            torch.set_rng_state(state["cpu"])
            if len(state["cuda"]) == torch.cuda.device_count():
                torch.cuda.set_rng_state_all(state["cuda"])


def _card(name: str, data: MixtureData, steps: int, results: Mapping[str, float]) -> str:
    mixing = data.mixing
    measured = ", ".join(f"{key} {value:.2f}" for key, value in sorted(results.items())) or "nothing"
    return (
        f"# {name}\n\n"
        f"Trained for {steps} steps on mixtures of {mixing.talkers} talkers "
        f"({mixing.segment_s:g} s, {data.sample_rate} Hz).\n\n"
        f"- Validation: {measured}; n = {data.validation_mixtures} mixtures of {data.validation_segment_s:g} s.\n"
        "- Licence: that of the training data; state it here before sharing the weights.\n"
    )
