"""A tiny recogniser made from a config and saved locally, like those that users download."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session")
def tiny_whisper(
    tmp_path_factory: pytest.TempPathFactory, word_tokenizer: Callable[[list[str], list[str]], Any]
) -> Path:
    """A random multilingual Whisper of one layer that writes up to 12 tokens for each 30 s."""
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizerFast,
    )

    folder = tmp_path_factory.mktemp("whisper")
    languages = ["<|en|>", "<|de|>"]
    specials = ["<|endoftext|>", "<|startoftranscript|>", *languages, "<|translate|>", "<|transcribe|>"]
    specials += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    model = json.loads(word_tokenizer(["where shall we meet"] * 9, specials).to_str())
    vocabulary = model["model"]["vocab"]
    merges = [tuple(merge) for merge in model["model"]["merges"]]
    tokenizer = WhisperTokenizerFast(
        vocab=vocabulary, merges=merges, bos_token="<|endoftext|>", pad_token="<|endoftext|>"
    )
    tokenizer.add_tokens(specials, special_tokens=True)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)
    token = tokenizer.convert_tokens_to_ids
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_target_positions=24,
        init_std=0.6,
        pad_token_id=token("<|endoftext|>"),
        bos_token_id=token("<|endoftext|>"),
        eos_token_id=token("<|endoftext|>"),
        decoder_start_token_id=token("<|startoftranscript|>"),
    )
    network = WhisperForConditionalGeneration(config)
    network.generation_config = GenerationConfig(
        max_length=16,
        pad_token_id=config.pad_token_id,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        decoder_start_token_id=config.decoder_start_token_id,
        is_multilingual=True,
        lang_to_id={language: token(language) for language in languages},
        task_to_id={"transcribe": token("<|transcribe|>"), "translate": token("<|translate|>")},
        no_timestamps_token_id=token("<|notimestamps|>"),
        suppress_tokens=[token(special) for special in specials[1:]],
    )
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def babble(rng: np.random.Generator) -> np.ndarray:
    """Two seconds at 16 kHz of something loud that is not speech, (32000,) float32."""
    return (0.3 * rng.standard_normal(32000)).astype(np.float32)
