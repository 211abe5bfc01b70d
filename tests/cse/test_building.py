"""A config names classes, and only those that may be named are built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cse.building import TRAINING_PARTS, instantiate
from cse.checkpoint import save_checkpoint
from cse.errors import CheckpointError
from cse.extractor import Extractor
from cse.history import Turn


def test_instantiate_builds_what_is_nested() -> None:
    built = instantiate(
        {
            "turns": [{"_target_": "cse.history.Turn", "text": "a"}, 5, None],
            "plain": {"x": 1.5, "y": {"z": "cse.history.Turn"}},
        }
    )
    assert built == {"turns": [Turn("a"), 5, None], "plain": {"x": 1.5, "y": {"z": "cse.history.Turn"}}}


def test_instantiate_does_not_change_the_config() -> None:
    config = {"_target_": "cse.history.Turn", "text": "a"}
    instantiate(config)
    assert config == {"_target_": "cse.history.Turn", "text": "a"}


@pytest.mark.parametrize(
    "target",
    [
        "os.system", "builtins.eval", "subprocess.Popen", "torch.nn.Linear", "csex.history.Turn",
        "cse", "cse.history", "cse.os", "cse.history.os", "cse.checkpoint.os.system", "cse.checkpoint.shutil.rmtree",
        "cse.checkpoint.Path", "cse.history.check_history", "cse.files.write_text", "cse.history.Turn.__class__",
        "cse.history.__builtins__", "cse.history._fields", "cse.absent.Model", "cse.history.Absent",
        "cse..history.Turn", ".cse.history.Turn", "cse.history.Turn ", "", "cse.history.DEFAULT", None, 5, ["cse"],
        "cse.checkpoint.MAX", "cse.checkpoint.TYPE_CHECKING", "cse.checkpoint.Checkpoint", "cse.modelsx.Separator",
        "cse.encoders.disk_cache.DiskCache", "cse.training.objectives.separation.Separation", "cse.models.models.Path",
    ],
)  # fmt: skip
def test_only_parts_of_models_are_built(target: Any) -> None:
    with pytest.raises(CheckpointError, match=r"^_target_: got "):
        instantiate({"_target_": target, "text": "x"})


def test_a_checkpoint_starts_no_program(tmp_path: Path) -> None:
    """The package's own helper for tests starts Python with what it is told."""
    made = tmp_path / "made"
    config = {
        "_target_": "cse.testing.running_process.RunningProcess",
        "module": "timeit",
        "argument": f"import os; os.mkdir({str(made)!r})",
    }
    save_checkpoint(tmp_path / "model", {"model": config}, {}, "# A card")
    with pytest.raises(CheckpointError, match="no part of a model"):
        Extractor.from_pretrained(tmp_path / "model")
    assert not made.exists()


def test_a_training_may_name_what_a_model_may_not() -> None:
    config = {"_target_": "cse.training.objectives.separation.Separation"}
    assert type(instantiate(config, parts=TRAINING_PARTS)).__name__ == "Separation"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"text": "a", "volume": 11},
            r"cse\.history\.Turn: got an unexpected keyword argument 'volume'; expected text",
        ),
        ({}, r"cse\.history\.Turn: missing a required argument: 'text'; expected text, speaker, time"),
        ({"_args_": [1], "text": "a"}, "unexpected keyword argument '_args_'"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        instantiate({"_target_": "cse.history.Turn", **arguments})


def test_arguments_that_the_class_refuses() -> None:
    target = {"_target_": "cse.models.filterbanks.STFTFilterbank", "channels": -3, "hop_size": 16}
    with pytest.raises(
        CheckpointError, match=r"cse\.models\.filterbanks\.STFTFilterbank: these arguments build no model"
    ):
        instantiate(target)
