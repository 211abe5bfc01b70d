"""A tuned text encoder: only its adapters are trained and saved."""

from __future__ import annotations

import builtins
import copy
from pathlib import Path

import pytest
import torch

from cse import Turn
from cse.building import instantiate
from cse.checkpoint import load_checkpoint, load_state, save_checkpoint
from cse.encoders.lora import LoRATextEncoder
from cse.encoders.text import TextEncoder
from cse.errors import CheckpointError, MissingExtraError
from cse.models.cues.pooling.last_token import LastToken
from cse.models.cues.text import TextCue

pytest.importorskip("peft", reason="the extra [lora] is not installed")

TEXTS = ["where", "where shall we meet at the station"]
HISTORIES = [
    [Turn("Where shall we meet?", "Ana"), Turn("At the station.", "Ben")],
    [Turn("When?", "Ben")],
    [],
]


@pytest.fixture(params=["tiny_llama", "tiny_bert"])
def model(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def config_of(folder: Path) -> dict:
    return {
        "_target_": "cse.models.cues.text.TextCue",
        "encoder": {
            "_target_": "cse.encoders.lora.LoRATextEncoder",
            "source": str(folder), "width": 32, "max_tokens": 64, "rank": 2, "dropout": 0.5,
        },
        "pooling": {"_target_": "cse.models.cues.pooling.last_token.LastToken", "max_turns": 3},
    }  # fmt: skip


def build(folder: Path) -> TextCue:
    torch.manual_seed(0)
    cue: TextCue = instantiate(config_of(folder))
    return cue.eval()


def train(cue: TextCue) -> None:
    optimizer = torch.optim.SGD(cue.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        cue(HISTORIES).tokens[..., :5].sum().backward()
        optimizer.step()


def test_before_training_it_reads_like_the_frozen_one(model: Path) -> None:
    tuned = LoRATextEncoder(source=str(model), width=32, max_tokens=64).eval()
    frozen = TextEncoder(source=str(model), width=32, max_tokens=64)
    for states, expected in zip(tuned.encode(TEXTS), frozen.encode(TEXTS), strict=True):
        torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)


def test_adapters_alone_are_trained(model: Path) -> None:
    cue = build(model)
    before = {name: weight.clone() for name, weight in cue.named_parameters()}
    untrained = cue(HISTORIES).tokens.detach()
    train(cue)
    trained = cue(HISTORIES).tokens
    assert not torch.allclose(trained, untrained, atol=1e-3)
    changed = {name for name, weight in cue.named_parameters() if not torch.equal(weight, before[name])}
    # a query of the first layer, hence through all layers
    assert changed and all(".lora_" in name for name in changed)
    assert any("layers.0" in name or "layer.0" in name for name in changed)
    assert changed == set(cue.state_dict())


def test_a_checkpoint_holds_the_adapters_and_gives_them_back(model: Path, tmp_path: Path) -> None:
    cue = build(model)
    train(cue)
    save_checkpoint(tmp_path / "tuned", {"model": config_of(model)}, cue.state_dict(), "# Card")
    assert (tmp_path / "tuned" / "model.safetensors").stat().st_size < 20_000
    checkpoint = load_checkpoint(tmp_path / "tuned")
    assert all(".lora_" in name for name in checkpoint.state)
    torch.manual_seed(1)
    again = instantiate(checkpoint.config["model"]).eval()
    assert not torch.allclose(again(HISTORIES).tokens, cue(HISTORIES).tokens, atol=1e-3)
    load_state(again, checkpoint.state)
    torch.testing.assert_close(again(HISTORIES).tokens, cue(HISTORIES).tokens)
    inside = torch.nn.ModuleDict({"cue": build(model)})
    inside.load_state_dict({f"cue.{name}": weight for name, weight in checkpoint.state.items()})
    torch.testing.assert_close(inside["cue"](HISTORIES).tokens, cue(HISTORIES).tokens)
    with pytest.raises(RuntimeError, match="lora_A"):
        inside.load_state_dict({})


def test_dropout_is_on_in_training_only(model: Path) -> None:
    cue = build(model)
    train(cue)
    assert torch.equal(cue(HISTORIES).tokens, cue(HISTORIES).tokens)
    cue.train()
    assert not torch.equal(cue(HISTORIES).tokens, cue(HISTORIES).tokens)


def test_a_batch_without_text_still_has_gradients(model: Path) -> None:
    cue = build(model).train()
    cue([[], None]).tokens.sum().backward()
    assert all(weight.grad is not None for weight in cue.encoder.adapters())


def test_items_do_not_change_each_other(model: Path) -> None:
    cue = build(model)
    train(cue)
    together = cue([HISTORIES[0], *HISTORIES])
    alone = cue(HISTORIES[1:2])
    torch.testing.assert_close(together.tokens[2], alone.tokens[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(together.tokens[0], together.tokens[1])


def test_what_is_computed_twice_has_the_same_gradients(model: Path) -> None:
    plain = build(model)
    train(plain)
    twice = TextCue(
        encoder=LoRATextEncoder(
            source=str(model), width=32, max_tokens=64, rank=2, dropout=0.0, gradient_checkpointing=True
        ),
        pooling=LastToken(max_turns=3),
    )
    twice.load_state_dict(plain.state_dict())
    twice.train()
    for module in twice.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for cue in (plain, twice):
        cue.zero_grad()
        cue(HISTORIES).tokens[..., :5].sum().backward()
    for one, other in zip(plain.encoder.adapters(), twice.encoder.adapters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_half_precision_has_adapters_in_float32(tiny_llama: Path) -> None:
    encoder = LoRATextEncoder(source=str(tiny_llama), width=32, max_tokens=64, dtype="bfloat16")
    assert {weight.dtype for weight in encoder.adapters()} == {torch.float32}
    encoder.encode(TEXTS)[1].sum().backward()
    assert all(weight.grad is not None for weight in encoder.adapters())


def test_a_copy_is_another_one(model: Path) -> None:
    cue = build(model)
    copied = copy.deepcopy(cue)
    train(copied)
    assert not torch.allclose(copied(HISTORIES).tokens, cue(HISTORIES).tokens, atol=1e-3)


def test_errors_say_what_to_do(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"width": 32, "max_tokens": 64}
    with pytest.raises(
        CheckpointError, match="building a model downloads nothing; type: hf download nobody/nothing"
    ):
        LoRATextEncoder(source="hf://nobody/nothing", **sizes)
    with pytest.raises(CheckpointError, match="gets no adapters: .*nowhere"):
        LoRATextEncoder(source=str(tiny_bert), target_modules=["nowhere"], **sizes)
    imported = builtins.__import__

    def without_peft(name: str, *arguments, **keywords):
        if name.partition(".")[0] == "peft":
            raise ImportError(name)
        return imported(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_peft)
    with pytest.raises(MissingExtraError, match=r'peft.* pip install "cse\[lora\]"'):
        LoRATextEncoder(source=str(tiny_bert), **sizes)
