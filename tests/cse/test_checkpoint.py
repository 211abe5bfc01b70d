"""Checkpoints describe themselves, are whole or refused, and never run anybody's code."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cse import checkpoint
from cse.building import instantiate
from cse.checkpoint import DEFAULT_MODEL, load_checkpoint, load_state, packaged_models, save_checkpoint
from cse.errors import CheckpointError, CseError
from cse.history import Turn

CONFIG: dict[str, Any] = {
    "name": "tiny",
    "model": {"_target_": "cse.history.Turn", "text": "any part of a model will do", "speaker": "Ana"},
    "training": {"steps": 3, "data": "made up"},
}
CARD = "# tiny\n\nTrained on nothing. Licence: Apache-2.0. ü\n"
FORMS = ["model", "model.safetensors"]


def tensors() -> dict[str, torch.Tensor]:
    weight = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    return {
        "weight": torch.nn.Parameter(weight),
        "tied": weight,
        "transposed": weight.T,
        "half": torch.ones(2, dtype=torch.float16),
        "steps": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }


@pytest.fixture(params=FORMS)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    save_checkpoint(path, CONFIG, tensors(), CARD)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "model", CONFIG, tensors(), CARD)
    return tmp_path / "model"


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def refused(source: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(source)
    assert "\n" not in str(caught.value)


def change_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config.update(changes)
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


# ---- saving and loading


def test_what_was_saved_comes_back(saved: Path) -> None:
    loaded = load_checkpoint(saved)
    assert loaded.name == "tiny"
    assert loaded.card == CARD
    assert loaded.config["format"] == 1
    assert {key: loaded.config[key] for key in CONFIG} == CONFIG
    assert loaded.state.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert loaded.state[name].dtype == tensor.dtype
        assert not loaded.state[name].requires_grad
        torch.testing.assert_close(loaded.state[name], tensor.detach())
    assert instantiate(loaded.config["model"]) == Turn("any part of a model will do", "Ana")


def test_a_loaded_config_can_be_saved_again(saved: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(str(saved))
    for form in FORMS:
        save_checkpoint(tmp_path / f"again-{form}", loaded.config, loaded.state, loaded.card)
        assert load_checkpoint(tmp_path / f"again-{form}").name == "tiny"


def test_the_folder_holds_three_files_and_nothing_is_left_beside(folder: Path) -> None:
    assert names(folder) == ["config.json", "model.safetensors", "model_card.md"]
    assert names(folder.parent) == ["model"]
    assert (folder / "model_card.md").read_text() == CARD


def test_the_caller_keeps_a_checkpoint_of_its_own_names(tmp_path: Path) -> None:
    config = {"model": CONFIG["model"]}
    save_checkpoint(tmp_path / "good-one", config, tensors(), CARD)
    save_checkpoint(tmp_path / "other.safetensors", config, tensors(), CARD)
    assert load_checkpoint(tmp_path / "good-one").name == "good-one"
    assert load_checkpoint(tmp_path / "other.safetensors").name == "other"
    assert config == {"model": CONFIG["model"]}


def test_saving_again_replaces(saved: Path) -> None:
    save_checkpoint(saved, {**CONFIG, "name": "second"}, {"w": torch.zeros(1)}, "new card")
    loaded = load_checkpoint(saved)
    assert (loaded.name, loaded.card, list(loaded.state)) == ("second", "new card", ["w"])
    assert names(saved.parent) == [saved.name]


def test_a_folder_with_other_files_is_left_alone(folder: Path) -> None:
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(CheckpointError, match=r"holds other files \(thesis\.tex\), which would be lost"):
        save_checkpoint(folder, CONFIG, tensors(), "new card")
    assert (folder / "thesis.tex").read_text() == "years of work"
    assert load_checkpoint(folder).card == CARD


@pytest.mark.parametrize("failing", ["write", "first rename", "second rename"])
def test_a_failure_leaves_the_old_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    calls: list[str] = []
    rename, write_bytes = checkpoint.os.rename, Path.write_bytes

    def failing_rename(source: Any, target: Any) -> None:
        calls.append("rename")
        if len(calls) == {"first rename": 1, "second rename": 2}.get(failing, 0):
            raise OSError(28, "No space left on device")
        rename(source, target)

    def failing_write(self: Path, data: bytes) -> int:
        if failing == "write" and self.name == "model.safetensors":
            raise OSError(28, "No space left on device")
        return write_bytes(self, data)

    monkeypatch.setattr(checkpoint.os, "rename", failing_rename)
    monkeypatch.setattr(Path, "write_bytes", failing_write)
    with pytest.raises(CseError, match="cannot write: No space left on device"):
        save_checkpoint(folder, CONFIG, {"w": torch.zeros(1)}, "new card")
    assert load_checkpoint(folder).card == CARD
    assert names(folder.parent) == ["model"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, 'no "model" with a "_target_"'),
        ({"model": "cse.history.Turn"}, 'no "model" with a "_target_"'),
        ({"model": {"text": "x"}}, 'no "model" with a "_target_"'),
        ({**CONFIG, "name": 5}, 'no "name", expected a string'),
        ({**CONFIG, "rate": np.float32(1)}, "cannot be written as JSON"),
        ({**CONFIG, "rate": float("nan")}, "cannot be written as JSON"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_config_that_describes_no_model_is_not_saved(
    tmp_path: Path, config: dict[str, Any], message: str, form: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        save_checkpoint(tmp_path / form, config, tensors(), CARD)
    assert names(tmp_path) == []


@pytest.mark.parametrize("form", FORMS)
def test_saving_into_a_missing_folder(tmp_path: Path, form: str) -> None:
    with pytest.raises(CseError, match="does not exist; create it"):
        save_checkpoint(tmp_path / "absent" / form, CONFIG, tensors(), CARD)


def test_saving_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a file")
    with pytest.raises(CheckpointError, match="is a file, expected the name of a folder"):
        save_checkpoint(tmp_path / "model", CONFIG, tensors(), CARD)


# ---- what is wrong with a checkpoint


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "model_card.md"])
def test_missing_files_are_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    refused(folder, rf"model: no {missing}; expected config\.json, model\.safetensors and model_card\.md")


def test_an_empty_folder(tmp_path: Path) -> None:
    refused(tmp_path, r"no config\.json and no model\.safetensors and no model_card\.md")


@pytest.mark.parametrize("size", [0, 4, 8, 100, -1])
def test_truncated_weights(saved: Path, size: int) -> None:
    path = saved / "model.safetensors" if saved.is_dir() else saved
    path.write_bytes(path.read_bytes()[:size])
    refused(saved, r"\.safetensors: truncated, or no safetensors file .*fetch or save it again")


def test_changed_weights(saved: Path) -> None:
    path = saved / "model.safetensors" if saved.is_dir() else saved
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    refused(saved, r"got sha256 [0-9a-f]{12}…, its config expects [0-9a-f]{12}…; it was changed or mixed up")


def test_weights_of_another_checkpoint(folder: Path, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "other", CONFIG, {"w": torch.zeros(3)}, CARD)
    (folder / "model.safetensors").write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    refused(folder, "it was changed or mixed up")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"config\.json: is no JSON"),
        ('{"format": 1', r"config\.json: is no JSON"),
        ("\0\1\2", r"config\.json: is no JSON"),
        ("[1]", r"config\.json: got a list, expected a JSON object"),
        pytest.param("[" * 100_000, r"config\.json: is no JSON", id="deep"),
    ],
)
def test_a_config_that_is_no_json_object(folder: Path, text: str, message: str) -> None:
    (folder / "config.json").write_text(text)
    refused(folder, message)


def test_a_config_that_is_no_text(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff\xfe\xff")
    refused(folder, r"config\.json: is no JSON")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "got format 2, expected 1; try a newer version of cse"),
        ({"format": None}, "got format None, expected 1"),
        ({"name": None}, 'no "name"'),
        ({"sha256": None}, 'no "sha256", expected 64 hexadecimal digits'),
        ({"sha256": "abc"}, 'no "sha256"'),
        ({"model": None}, 'no "model"'),
        ({"model": {"_target_": 5}}, 'no "model" with a "_target_"'),
    ],
)
def test_wrong_configs(folder: Path, change: dict[str, Any], message: str) -> None:
    change_config(folder, **change)
    refused(folder, message)


def test_a_safetensors_file_without_a_config(folder: Path) -> None:
    refused(folder / "model.safetensors", 'no "config" and "model_card" in its metadata')


class Trap:
    """Notices when it is unpickled."""

    sprung = False

    def __reduce__(self) -> tuple[Any, ...]:
        return setattr, (Trap, "sprung", True)


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin", ".pkl", ".PT"])
def test_pickles_are_refused_by_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(Trap()))
    refused(path, rf"got a {suffix} file, which can run code when loaded; expected config\.json")
    assert not Trap.sprung


def test_pickles_under_another_name_are_not_loaded(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    refused(folder, "truncated, or no safetensors file")
    refused(folder / "config.json", "truncated, or no safetensors file")
    assert not Trap.sprung


# ---- names


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "pretrained"
    root.mkdir()
    save_checkpoint(root / "b-model", {**CONFIG, "name": "b-model"}, tensors(), CARD)
    save_checkpoint(root / "a-model", {**CONFIG, "name": "a-model"}, tensors(), CARD)
    (root / "README.md").write_text("not a model")
    save_checkpoint(tmp_path / "outside", CONFIG, tensors(), CARD)
    monkeypatch.setattr(checkpoint, "_PRETRAINED", root)
    return root


def test_packaged_names(packaged: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert packaged_models() == ["a-model", "b-model"]
    assert load_checkpoint("a-model").name == "a-model"
    refused("c-model", r"c-model: no such model; expected .*\(a-model, b-model\)")
    monkeypatch.chdir(tmp_path)
    save_checkpoint(tmp_path / "a-model", CONFIG, tensors(), "the folder here")
    assert load_checkpoint("a-model").card == CARD
    assert load_checkpoint("./a-model").card == "the folder here"
    assert load_checkpoint(Path("a-model")).card == "the folder here"


@pytest.mark.parametrize(
    "name", ["../outside", "a-model/../../outside", "a-model/..", "..", ".", "", "a\0b", "x" * 300]
)
def test_names_never_leave_the_folder_of_packaged_models(
    packaged: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = packaged.parent / "working" / "folder"
    elsewhere.mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    with pytest.raises(CheckpointError):
        load_checkpoint(name)


def test_the_default_model_is_packaged_and_whole() -> None:
    if DEFAULT_MODEL not in packaged_models():
        pytest.skip(f"this tree has no packaged model {DEFAULT_MODEL}")
    for name in packaged_models():
        loaded = load_checkpoint(name)
        assert loaded.name == name
        assert len(loaded.card) > 200
        load_state(instantiate(loaded.config["model"]), loaded.state)


# ---- the hub, without a network


def test_a_hub_name_is_downloaded_because_it_was_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[Any] = []

    def download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision, allow_patterns))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    files = ["config.json", "model.safetensors", "model_card.md"]
    assert load_checkpoint("hf://some-org/some.model").name == "hf://some-org/some.model"
    assert load_checkpoint("hf://some-org/model@v1.0").card == CARD
    assert asked == [("some-org/some.model", None, files), ("some-org/model", "v1.0", files)]


@pytest.mark.parametrize(
    "name", ["hf://", "hf://model", "hf://a/b/c", "hf://../x", "hf://a/b@", "hf://a b/c", "hf://a/../b"]
)
def test_wrong_hub_names(name: str) -> None:
    refused(name, "expected hf://organisation/name")


def test_the_hub_out_of_reach() -> None:
    refused("hf://some-org/no-such-model", "hf://some-org/no-such-model: cannot be downloaded: ")


def test_only_hub_names_reach_for_the_hub(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert load_checkpoint(folder).name == "tiny"
    refused("some-org/some-model", "no such model")


# ---- weights into a module


def test_load_state_copies_values() -> None:
    module = torch.nn.Linear(3, 2)
    state = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    load_state(module, state)
    assert module(torch.ones(3)).tolist() == [3.0, 3.0]
    state["weight"].zero_()
    assert module.weight.sum() == 6


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.ones(2, 3)}, r"do not fit Linear: missing bias$"),
        ({}, "missing weight, bias"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(2), "gain": torch.ones(1)}, "unexpected gain"),
        (
            {"weight": torch.ones(3, 2), "bias": torch.ones(2)},
            r"wrong shape: weight got \(3, 2\) expected \(2, 3\)",
        ),
        ({"weight": torch.ones(2, 3), "bias": torch.tensor([1.0, float("nan")])}, "not finite: bias"),
        ({f"x{i}": torch.ones(1) for i in range(9)}, "unexpected x0, x1, x2 and 6 more"),
    ],
)
def test_weights_that_do_not_fit(state: dict[str, torch.Tensor], message: str) -> None:
    module = torch.nn.Linear(3, 2)
    before = module.weight.clone()
    with pytest.raises(CheckpointError, match=message):
        load_state(module, state)
    assert torch.equal(module.weight, before)
