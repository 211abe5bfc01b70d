"""What the processor of this machine can do."""

from __future__ import annotations

import functools


@functools.cache
def has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16; without that, torch converts, and takes ten times as long or more.

    >>> has_bfloat16() in (True, False)
    True
    """
    import torch  # here, since what runs on onnxruntime does without

    capabilities = torch.cpu.get_capabilities()
    return any(value is True and "bf16" in name for name, value in capabilities.items())
