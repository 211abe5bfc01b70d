"""Contextual speech extraction: the voice that continues a conversation, out of several that talk at once.

>>> from cse import Extractor, Turn
>>> extractor = Extractor.from_pretrained()  # doctest: +SKIP
>>> result = extractor.extract("note.ogg", history=[Turn("Where shall we meet?", "Ana")])  # doctest: +SKIP
>>> result.save("voice.wav")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from cse.extraction import Extraction
from cse.extractor import Extractor
from cse.history import Turn

try:
    __version__ = version("cse")
except PackageNotFoundError:  # a bare checkout on PYTHONPATH
    __version__ = "0+unknown"

__all__ = ["Extraction", "Extractor", "Turn", "__version__"]
