"""What all tests share: no network, the optional development data, and a made-up corpus."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPOSITORY = Path(__file__).resolve().parents[1]

# hub libraries fail at once instead of trying; set before any test imports them
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

try:
    from speechbrain.utils.importutils import LazyModule
except ImportError:
    pass
else:
    # hypothesis asks every loaded module for its file; SpeechBrain's lazy ones would then import what is not installed
    LazyModule.__file__ = None


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Let sockets reach this machine only: a test that needs the network fails everywhere."""
    connect = socket.socket.connect

    def connect_locally(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("localhost", "127.0.0.1", "::1"):
            raise OSError(f"a test tried to reach {host}; tests must pass without a network")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_locally)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def development_data() -> Path:
    """The folder of real recordings for development; tests that use it are skipped where there is none."""
    folder = Path(os.environ.get("CSE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder} (CSE_DATA names another folder)")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def made_up_utterances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An utterances.jsonl of 4 talkers, 6 dialogues of 4 turns, 1 s each, at 16 kHz. Read only."""
    from cse.testing.corpus import write_utterances

    return write_utterances(tmp_path_factory.mktemp("utterances"), dialogues=6)


@pytest.fixture(scope="session")
def made_up_mixtures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixtures.jsonl of 3 mixtures of 2 talkers, 1 s each, at 16 kHz. Read only."""
    from cse.testing.corpus import write_mixtures

    return write_mixtures(tmp_path_factory.mktemp("mixtures"))


@pytest.fixture(scope="session")
def word_tokenizer() -> Callable[[list[str], list[str]], Any]:
    """Makes a byte-level BPE tokenizer that knows some words, with special tokens behind the others."""

    def make(words: list[str], specials: list[str]) -> Any:
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=300, special_tokens=[], initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(words, trainer)
        tokenizer.add_special_tokens(specials)
        return tokenizer

    return make


@pytest.fixture(scope="session")
def tiny_llama(
    tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Callable[[list[str], list[str]], Any]
) -> Path:
    """A random Llama of 2 layers and width 32 with a context of 96 tokens, and its tokenizer. Read only."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("llama")
    tokenizer = word_tokenizer(["where shall we meet at the station"] * 9, ["<s>", "</s>"])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=96,
        initializer_range=0.4,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(
    tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Callable[[list[str], list[str]], Any]
) -> Path:
    """A random BERT of 2 layers and width 32 that reads 64 tokens, and its tokenizer. Read only."""
    import torch
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    specials = ["[CLS]", "[SEP]", "[PAD]"]
    tokenizer = word_tokenizer(["where shall we meet at the station"] * 9, specials)
    ends = [(name, tokenizer.token_to_id(name)) for name in specials[:2]]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        pad_token_id=fast.pad_token_id,
        initializer_range=0.4,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")  # while it is there, this thread can run no other event loop
def chromium() -> Iterator[Browser]:
    """A headless Chromium, whose microphone hears beeps."""
    api = pytest.importorskip("playwright.sync_api", reason='needs: pip install "cse[dev]"')
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium; on Debian: apt-get install chromium")
    microphone = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=microphone)
        yield browser
        browser.close()
