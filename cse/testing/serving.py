"""A service on the loopback address with a tiny model, for tests: `python -m cse.testing.serving`.

Its extractors take the high tone of a mixture of two (`cse.testing.models`), unless the target's name tells them to
do otherwise: `slow:S` works for S seconds and may be stopped, `stuck:S` may not, `die` kills itself, `bug` is one,
and `silent` finds nobody.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from cse.errors import CancelledError
from cse.extraction import Extraction
from cse.extractor import Extractor


class ObedientExtractor(Extractor):
    """Does what the target's name says."""

    def extract(
        self, audio: Any, history: Any = None, *, target: str | None = None, **options: Any
    ) -> Extraction:
        """See `cse.extractor.Extractor.extract`."""
        order, _, seconds = (target or "").partition(":")
        if order in ("slow", "stuck"):
            _linger(float(seconds), options["should_stop"] if order == "slow" else lambda: False)
        elif order == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif order == "bug":
            raise KeyError([turn.text for turn in history])
        extractor = told_extractor_for(order)
        return extractor.extract(audio, history, target=target, **options)


def told_extractor_for(order: str) -> Extractor:
    """The extractor that takes the high tone, or finds nobody."""
    from cse.testing.models import ToldChooser, told_extractor

    class LastChooser(ToldChooser):
        """Takes the last talker of those that were found, which may be the only one."""

        def choose(self, candidates: Any, *cues: Any, **more: Any) -> Any:
            self.index = len(candidates) - 1
            return super().choose(candidates, *cues, **more)

    extractor = told_extractor()
    method: Any = extractor.method
    method.chooser = LastChooser(p_none=0.9 if order == "silent" else 0.05)
    return extractor


def load() -> Extractor:
    """What the workers of the tests load."""
    told = told_extractor_for("")
    return ObedientExtractor(method=told.method, name=told.name)


def load_packaged() -> Extractor:
    """What they load where a test is about what is really said."""
    return Extractor.from_pretrained()


def _linger(seconds: float, should_stop: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if should_stop():
            raise CancelledError("stopped as it was told to")
        time.sleep(0.02)


def main() -> None:
    """Serve on a free port with the settings given as JSON; `"packaged": true` among them takes the packaged model."""
    from cse.service.server import serve
    from cse.service.settings import Settings

    values = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    loader = load_packaged if values.pop("packaged", False) else load
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    serve(Settings(**settings), loader, host="127.0.0.1", port=0)


if __name__ == "__main__":
    # under its own name, so that worker processes find `load`
    from cse.testing import serving

    serving.main()
