"""Reading a file of the paper's own code without running any code that is in it."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cse.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

_WRAPPERS = ("model.", "module.", "_orig_mod.")
_STRAY_CODE = re.compile(r"GLOBAL ([\w.]+)")


def read_published(path: Path) -> dict[str, Tensor]:
    """Read the weights under `state_dict`, under their published names.

    What wrappers put before all names (`model.`, `module.`) is taken off, and position tables (`.pe`) are left out:
    they are computed. Only tensors and plain containers are unpickled.

    Raises:
        CheckpointError: If the file is missing or damaged, no such checkpoint, or holds more than weights.
    """
    state = _load(path)
    state = state.get("state_dict") if isinstance(state, dict) else None
    if not isinstance(state, dict) or not state:
        raise CheckpointError(
            f'{path}: got no "state_dict" in it, expected a checkpoint of the published code: a dictionary with the '
            'weights under "state_dict"; wrap plain weights: torch.save({"state_dict": weights}, …)'
        )
    if strange := [
        name for name, value in state.items() if not (isinstance(name, str) and _is_weight(value))
    ]:
        raise CheckpointError(
            f'{path}: got {strange[0]!r} under "state_dict", which is no finite tensor of floats; expected weights only'
        )
    while wrapper := next((w for w in _WRAPPERS if all(name.startswith(w) for name in state)), None):
        state = {name.removeprefix(wrapper): value for name, value in state.items()}
    return {name: value for name, value in state.items() if not name.endswith(".pe")}


def _is_weight(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.is_floating_point() and bool(value.isfinite().all())


def _load(path: Path) -> Any:
    import torch

    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no such file"
        raise CheckpointError(f"{path}: {kind}, expected the checkpoint file of the published code, *.ckpt")
    try:
        with warnings.catch_warnings(action="ignore"):  # about what the error then says
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what is no such file fails in many ways, from zip to pickle to KeyError
        if stray := _STRAY_CODE.search(str(error)):
            raise CheckpointError(
                f"{path}: got {stray[1]} in it, which would run as code; expected weights only: where you trust "
                'the file, load it apart from everything else and save {"state_dict": weights} anew'
            ) from None
        raise CheckpointError(
            f"{path}: is no file of torch.save, or a damaged one ({type(error).__name__}); expected a checkpoint of "
            "the published code; fetch it again"
        ) from error
