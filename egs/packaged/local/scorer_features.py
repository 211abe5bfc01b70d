"""MiniLM's embeddings of the turns that the scorer is trained on: as they are written, and as they may be heard."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from dialogues import Dialogue
from recognition_errors import RecognitionErrors
from tqdm import tqdm

from cse.encoders.language_model import LanguageModelFiles
from cse.encoders.sources import MINILM, MINILM_SHA256
from cse.history import Turn
from cse.processor import has_bfloat16
from cse.selection.minilm import EMBEDDING_SIZE

CLEAN_SHARE = 0.25  # of the heard forms; the others have a word error rate of up to MAX_ERROR_RATE
MAX_ERROR_RATE = 0.6
MAX_TOKENS = 96
_PART = 4096  # texts that are kept as one file


def heard_form(text: str, errors: RecognitionErrors, rng: random.Random) -> str:
    """A turn as a recogniser may have heard it, with or without its last mark."""
    rate = 0.0 if rng.random() < CLEAN_SHARE else rng.uniform(0, MAX_ERROR_RATE)
    words = [word for word, _ in errors.hear(text, rate, rng)]
    if len(words) > 4 and rng.random() < 0.1:  # the beginning or the end is lost
        kept = rng.randrange(len(words) // 2, len(words))
        words = words[:kept] if rng.random() < 0.5 else words[-kept:]
    mark = text.rstrip()[-1:] if text.rstrip()[-1:] in ".?!" and rng.random() < 0.5 else ""
    return " ".join(words) + mark


def written_form(turn: Turn, rng: random.Random) -> str:
    """A turn as it stands in a history: mostly as it was written, sometimes without marks."""
    without = turn.text.translate(str.maketrans("", "", ".,!?;:"))
    return turn.text if rng.random() < 0.7 else without or turn.text


def encode(texts: Sequence[str], folder: Path) -> np.ndarray:
    """Embeddings of length 1, (texts, 384) float32; parts that an earlier run has written are read.

    Args:
        texts: What to encode.
        folder: Where the parts are, under a name that changes with the texts.
    """
    folder = folder / f"embeddings-{fingerprint(texts)}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{first // _PART:04d}.npy" for first in range(0, len(texts), _PART)]
    files = LanguageModelFiles(
        source=MINILM,
        revision=None,
        sha256=MINILM_SHA256,
        width=EMBEDDING_SIZE,
        max_tokens=MAX_TOKENS,
        dtype="float32",
    )
    network, tokenizer = files.load() if not all(path.exists() for path in paths) else (None, None)
    for number, path in enumerate(tqdm(paths, desc="encoding", unit="part")):
        if not path.exists():
            # half the time of float32 on a CPU that can
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bfloat16()):
                states = tokenizer.states(network, texts[number * _PART : (number + 1) * _PART], "cpu")
            means = torch.stack([each.mean(0) for each in states])
            # a file in the making has another name: an interrupted run leaves nothing that looks complete
            np.save(
                path.with_suffix(".part.npy"), torch.nn.functional.normalize(means, dim=-1).half().numpy()
            )
            path.with_suffix(".part.npy").rename(path)
    return np.concatenate([np.load(path) for path in paths]).astype(np.float32)


def fingerprint(texts: Sequence[str]) -> str:
    """Eight characters that are others for other texts."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8]


def pick(dialogues: Sequence[Dialogue], turns: int, rng: random.Random) -> list[Dialogue]:
    """Dialogues in random order until they have so many turns."""
    picked, total = [], 0
    for dialogue in rng.sample(list(dialogues), len(dialogues)):
        if total >= turns:
            break
        picked.append(dialogue)
        total += len(dialogue.turns)
    return picked
