"""Pretrained language models as readers of text: text in, hidden states out, whatever they stand next to in a batch."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cse.encoders.sources import TRANSFORMERS_FILES, check_sha256, model_folder, quiet_loading
from cse.errors import CheckpointError, one_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

DType = Literal["auto", "float32", "bfloat16", "float16"]

_BATCH_TOKENS = 16384  # of one batch, padding included


@dataclass(frozen=True, kw_only=True)
class LanguageModelFiles:
    """Which pretrained model reads, where its files are, and how it is loaded.

    Attributes:
        source: A folder, `package:all-MiniLM-L6-v2`, or `hf://organisation/name`.
        revision: Of the hub repository.
        sha256: Of the weights, as `cse.encoders.sources.check_sha256` counts it; None does not look.
        width: Expected size of the hidden states.
        max_tokens: Longest text; of a longer one the end is read. The model's own limit holds too.
        dtype: Precision of the weights; "auto" is that of the file.
    """

    source: str
    revision: str | None
    sha256: str | None
    width: int
    max_tokens: int
    dtype: DType

    def folder(self, *, download: bool = True) -> Path:
        """Where the files are; see `model_folder` for what it raises."""
        return model_folder(self.source, files=TRANSFORMERS_FILES, revision=self.revision, download=download)

    def load(self, *, download: bool = True) -> tuple[nn.Module, Tokens]:
        """Read the network, frozen and in evaluation mode, and its tokenizer.

        Raises:
            CheckpointError: No such folder, no network or tokenizer in it, other weights than `sha256` says, or
                hidden states of another width.
            MissingExtraError: The package with the weights is not installed.
        """
        folder = self.folder(download=download)
        if self.sha256 is not None:
            check_sha256(folder, self.sha256)
        network = self._network(folder)
        if network.config.is_encoder_decoder:
            raise CheckpointError(
                f"{self.source}: got a {network.config.model_type}, which reads and writes; expected an encoder or a "
                "causal language model"
            )
        width = getattr(network.config, "hidden_size", None)
        if width != self.width:
            raise CheckpointError(
                f"{self.source}: got hidden states of width {width}, expected {self.width}; set the encoder's `width` "
                f"to {width} and train the model for it, or name another encoder"
            )
        return network, Tokens(self._tokenizer(folder), network.config, self.max_tokens)

    def _network(self, folder: Path) -> Any:
        from transformers import AutoModel

        try:
            with quiet_loading(), _no_report():
                network, found = AutoModel.from_pretrained(
                    folder,
                    local_files_only=True,
                    use_safetensors=True,
                    trust_remote_code=False,
                    dtype=self.dtype,
                    output_loading_info=True,
                )
        except Exception as error:  # a damaged file fails in many ways
            raise CheckpointError(
                f"{self.source}: cannot load: {one_line(error)[:300]}; expected a model of transformers with its "
                "weights as safetensors"
            ) from error
        # what makes one vector of a text is not used here, and often left out
        missing = sorted(name for name in found["missing_keys"] if "pooler" not in name)
        if missing:
            raise CheckpointError(
                f"{self.source}: got no weights for {missing[0]} and {len(missing) - 1} more, expected all of a "
                f"{network.config.model_type}; fetch the model again"
            )
        return network.eval().requires_grad_(False)

    def _tokenizer(self, folder: Path) -> Any:
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, truncation_side="left"
            )
        except Exception as error:  # a damaged file fails in many ways
            raise CheckpointError(
                f"{self.source}: no tokenizer can be loaded: {one_line(error)[:300]}; expected one beside the weights"
            ) from error
        files = sorted({*tokenizer.vocab_files_names.values(), "tokenizer.json"})
        if not any((folder / name).is_file() for name in files):
            # without a vocabulary `transformers` makes a tokenizer that knows no word, and says nothing
            raise CheckpointError(
                f"{self.source}: no tokenizer, expected {' or '.join(files)} beside the weights; fetch it, too"
            )
        return tokenizer


@contextmanager
def _no_report() -> Iterator[None]:
    """Keep `transformers` from listing the weights that it has no use for, such as a language model's output layer."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


class Tokens:
    """Cuts texts into tokens, and runs a network over them in batches. Safe to call from several threads.

    A causal language model is padded on the left, as in Kim, Mira et al., "Contextual Speech Extraction", ICASSP
    2025, with positions that count from the first real token; any other on the right. Padding is hidden from
    attention, so that a text's states depend on nothing but the text.

    Args:
        tokenizer: Of `transformers`; cuts long texts on the left.
        config: Of the network.
        max_tokens: Longest text.
    """

    def __init__(self, tokenizer: Any, config: Any, max_tokens: int) -> None:
        limits = (max_tokens, tokenizer.model_max_length, getattr(config, "max_position_embeddings", None))
        self.max_tokens = min(limit for limit in limits if limit is not None)
        self.pad_left = _is_causal(config)
        self._tokenizer = tokenizer
        self._pad = tokenizer.pad_token_id or 0
        self._lock = threading.Lock()

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of each text, with the special tokens that the model wants; the end of one that is too long."""
        if not texts:
            return []
        with self._lock:  # the tokenizer changes its settings while it works
            found = self._tokenizer(list(texts), padding=False, truncation=True, max_length=self.max_tokens)
        return list(found["input_ids"])

    def states(self, network: Any, texts: Sequence[str], device: torch.device | str) -> list[Tensor]:
        """Last hidden states of each text, (tokens, D) float32 on `device`; (0, D) for one without tokens."""
        import torch

        ids = self.ids(texts)
        empty = torch.zeros(0, network.config.hidden_size, device=device)
        found = [empty] * len(ids)
        for batch in _batches(ids):
            tokens, mask = self._padded([ids[number] for number in batch])
            hidden = network(**self._inputs(network, tokens.to(device), mask.to(device))).last_hidden_state
            for row, number in enumerate(batch):
                own = slice(-len(ids[number]), None) if self.pad_left else slice(len(ids[number]))
                found[number] = hidden[row, own].float()
        return found

    def _padded(self, ids: list[list[int]]) -> tuple[Tensor, Tensor]:
        import torch

        longest = max(map(len, ids))
        tokens = torch.full((len(ids), longest), self._pad)
        mask = torch.zeros(len(ids), longest, dtype=torch.long)
        for row, own in enumerate(ids):
            place = slice(longest - len(own), None) if self.pad_left else slice(len(own))
            tokens[row, place] = torch.tensor(own)
            mask[row, place] = 1
        return tokens, mask

    def _inputs(self, network: nn.Module, tokens: Tensor, mask: Tensor) -> dict[str, Any]:
        known = inspect.signature(network.forward).parameters
        inputs: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask}
        if self.pad_left and "position_ids" in known:
            inputs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
        if "use_cache" in known:
            inputs["use_cache"] = False
        return inputs

    def __deepcopy__(self, memo: dict[int, Any]) -> Tokens:
        return self  # nothing in it ever changes but what the lock guards

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()


def _is_causal(config: Any) -> bool:
    """Tell a causal language model by what `transformers` can make of it: no masked language model."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    kind = config.model_type
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def _batches(ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Numbers of the texts that have tokens, similar lengths together, as many as fit."""
    batch: list[int] = []
    for number in sorted((n for n, own in enumerate(ids) if own), key=lambda n: -len(ids[n])):
        if batch and (len(batch) + 1) * len(ids[batch[0]]) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch
