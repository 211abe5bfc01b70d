"""A language model that is tuned with the network: its own weights stay, small matrices beside them are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from cse.encoders.language_model import DType, LanguageModelFiles
from cse.errors import CheckpointError, MissingExtraError, one_line

if TYPE_CHECKING:
    from peft import LoraConfig


class LoRATextEncoder(nn.Module):
    """Reads texts as `TextEncoder` does, with low-rank adapters in its linear layers that are trained and saved.

    Hu et al., "LoRA: low-rank adaptation of large language models", ICLR 2022, by the library `peft`. The state dict
    holds the adapters alone; before training they change nothing. Adapters have the sizes of the layers that they tune,
    so the weights are read when this is built: from a folder, a package, or what was downloaded from the hub before.
    Nothing is kept of what it made of a text, because that changes with every step.

    Args:
        source, width, max_tokens, revision, sha256, dtype: As of `TextEncoder`; adapters are float32.
        rank: Rows of an adapter.
        alpha: What an adapter adds is multiplied by alpha / rank.
        dropout: Of the adapters' input, in training.
        target_modules: Ends of the names of the layers to tune; None is what `peft` has for the model: the queries and
            values of all attention layers.
        gradient_checkpointing: Compute hidden states twice rather than keep them, in training.

    Raises:
        MissingExtraError: peft, or the package with the weights, is not installed.
        CheckpointError: The model cannot be loaded, is not what the arguments say, or has no such layers.
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
        rank: int = 8,
        alpha: int = 16,
        dropout: float = 0.05,
        target_modules: Sequence[str] | None = None,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.width = width
        files = LanguageModelFiles(
            source=source, revision=revision, sha256=sha256, width=width, max_tokens=max_tokens, dtype=dtype
        )
        settings = _lora_config(rank, alpha, dropout, target_modules)
        network, self._tokens = files.load(download=False)
        self.network = _with_adapters(network, settings, source)
        if gradient_checkpointing:
            enable = getattr(
                self.network, "activation_checkpointing_enable", self.network.gradient_checkpointing_enable
            )  # its name from some 5.x on
            enable({"use_reentrant": False})
        self.register_state_dict_post_hook(_leave_adapters)
        self.register_load_state_dict_pre_hook(_add_frozen)

    def encode(self, texts: Sequence[str]) -> list[Tensor]:
        """Last hidden states of each text, (tokens, D) float32 on the device of the weights, with gradients."""
        return self._tokens.states(self.network, texts, next(self.network.parameters()).device)

    def adapters(self) -> list[nn.Parameter]:
        """What is trained."""
        return [weight for name, weight in self.network.named_parameters() if _is_adapter(name)]


def _lora_config(rank: int, alpha: int, dropout: float, target_modules: Sequence[str] | None) -> LoraConfig:
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingExtraError(feature="tuning a text encoder", extra="lora", package="peft") from error
    modules = None if target_modules is None else list(target_modules)
    return LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=modules)


def _with_adapters(network: nn.Module, settings: LoraConfig, source: str) -> Any:
    from peft import inject_adapter_in_model

    try:
        network = inject_adapter_in_model(settings, network)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise CheckpointError(
            f"{source}: gets no adapters: {one_line(error)[:300]}; expected names of its linear layers as "
            "`target_modules`"
        ) from error
    for name, weight in network.named_parameters():
        weight.requires_grad_(_is_adapter(name))
        if _is_adapter(name):
            weight.data = weight.data.float()
    return network


def _is_adapter(name: str) -> bool:
    return ".lora_" in name


def _leave_adapters(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    """Take the frozen weights out of a state dict."""
    inside = f"{prefix}network."
    for name in [name for name in state if name.startswith(inside) and not _is_adapter(name)]:
        del state[name]


def _add_frozen(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Put the frozen weights, as they are, into a state dict that is about to be loaded: it must have everything."""
    network: Any = module.network
    weights = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name in network.state_dict(keep_vars=True):
        if not _is_adapter(name):
            state[f"{prefix}network.{name}"] = weights[name].data
