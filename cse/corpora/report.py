"""What a preparation left out, by kind and by name: nothing of a corpus goes missing silently."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from cse.corpora.segments import LeftOut
from cse.errors import ManifestError
from cse.files import write_text

_EXAMPLES = 3
_MAX_NOTES = 100  # a kind of note can hold for half of a corpus; its number is enough then


class Report:
    """Collects what was left out of a corpus.

    Attributes:
        utterances: How many were written.

    >>> report = Report()
    >>> report.utterances = 99
    >>> report.leave_out([LeftOut("3_0_MUL1", "no words", "no word has a time")])
    >>> print(report.summary())
    99 utterances
    left out: 1 no words (3_0_MUL1)
    """

    def __init__(self) -> None:
        self.utterances = 0
        self._left_out: dict[str, list[LeftOut]] = defaultdict(list)
        self._on_purpose: dict[str, list[LeftOut]] = defaultdict(list)
        self._kept: dict[str, list[LeftOut]] = defaultdict(list)

    def leave_out(self, entries: Iterable[LeftOut]) -> None:
        """Note what could not be used."""
        _sort_in(self._left_out, entries)

    def leave_out_on_purpose(self, entries: Iterable[LeftOut]) -> None:
        """Note what the protocol leaves out, which is nobody's mistake."""
        _sort_in(self._on_purpose, entries)

    def keep(self, entries: Iterable[LeftOut]) -> None:
        """Note what is odd, but was kept."""
        _sort_in(self._kept, entries)

    def check(self, max_share: float) -> None:
        """Refuse a corpus of which too much is left out: more likely, something is wrong with the whole of it.

        Raises:
            ManifestError: More than `max_share` of all utterances were left out (those on purpose do not count),
                or nothing was left.
        """
        lost = sum(map(len, self._left_out.values()))
        total = lost + self.utterances
        if self.utterances and lost <= max_share * total:
            return
        kinds = sorted(self._left_out.values(), key=len, reverse=True)
        first = kinds[0][0] if kinds else None
        detail = (
            f"most often for {first.kind!r}: {first.id} {first.reason}"
            if first
            else "there was nothing in it"
        )
        raise ManifestError(
            f"{lost} of {total} utterances would be left out, expected at most {max_share:.1%}; {detail}; is the "
            "corpus complete? --max-left-out allows more"
        )

    def summary(self) -> str:
        """What happened, in a line for what was left out, on purpose, and kept although odd."""
        lines = [f"{self.utterances} utterances"]
        for title, kinds in self._parts().items():
            if kinds:
                lines.append(f"{title.replace('_', ' ')}: " + ", ".join(map(_summary, kinds.values())))
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """Write all of it as JSON.

        Raises:
            CseError: The folder is missing or not writable.
        """
        content: dict[str, object] = {"utterances": self.utterances}
        for title, kinds in self._parts().items():
            listed = _MAX_NOTES if title == "kept" else None
            content[title] = {
                kind: {
                    "count": len(entries),
                    "items": [{"id": entry.id, "reason": entry.reason} for entry in entries[:listed]],
                }
                for kind, entries in kinds.items()
            }
        write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

    def _parts(self) -> dict[str, dict[str, list[LeftOut]]]:
        return {"left_out": self._left_out, "left_out_on_purpose": self._on_purpose, "kept": self._kept}


def _sort_in(kinds: dict[str, list[LeftOut]], entries: Iterable[LeftOut]) -> None:
    for entry in entries:
        kinds[entry.kind].append(entry)


def _summary(entries: list[LeftOut]) -> str:
    names = ", ".join(entry.id for entry in entries[:_EXAMPLES])
    more = ", …" if len(entries) > _EXAMPLES else ""
    return f"{len(entries)} {entries[0].kind} ({names}{more})"
