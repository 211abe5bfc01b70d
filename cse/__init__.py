"""Contextual speech extraction: the voice that continues a conversation, out of several that talk at once.

>>> from cse import Extractor, Turn
>>> extractor = Extractor.from_pretrained()  # doctest: +SKIP
>>> result = extractor.extract("note.ogg", history=[Turn("Where shall we meet?", "Ana")])  # doctest: +SKIP
>>> result.save("voice.wav")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cse.extraction import Extraction
    from cse.extractor import Extractor
    from cse.history import Turn

__version__: str
__all__ = ["Extraction", "Extractor", "Turn", "__version__"]

_HOMES = {"Extraction": "cse.extraction", "Extractor": "cse.extractor", "Turn": "cse.history"}


def __getattr__(name: str) -> Any:
    # on first use: the command line is there at once, and can be interrupted in one line from then on
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module 'cse' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("cse")
    except PackageNotFoundError:  # a bare checkout on PYTHONPATH
        return "0+unknown"
