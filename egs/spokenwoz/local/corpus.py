"""Where SpokenWOZ keeps what, and whether it is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cse.corpora.json_objects import iterate_object
from cse.errors import ManifestError

DOWNLOADS = "https://spokenwoz.oss-cn-wulanchabu.aliyuncs.com"
SHOWN = 10
HOME = "https://spokenwoz.github.io/SpokenWOZ-github.io"

# Their audio belongs to other dialogues or is synthesised (reported by users of the corpus: AlibabaResearch/DAMO-ConvAI
# #87 and #132). The paper leaves them out too.
KNOWN_BROKEN = frozenset("SNG0601 SNG0646 SNG0653 SNG0877 SNG0885 SNG0890 SNG0897 SNG0901 SNG0903".split())


@dataclass(frozen=True)
class Part:
    """One of the two parts that SpokenWOZ is distributed in."""

    name: str
    dialogues: int

    def text(self, corpus: Path) -> Path:
        return corpus / f"text_5700_{self.name}" / "data.json"

    def audio(self, corpus: Path) -> Path:
        return corpus / f"audio_5700_{self.name}"


PARTS = (Part("train_dev", 4700), Part("test", 1000))


def dev_list(corpus: Path) -> Path:
    """One id a line, in spite of its name."""
    return corpus / "text_5700_train_dev" / "valListFile.json"


def check(corpus: Path | None, *, partial: bool = False) -> list[str]:
    """Look for all files.

    Args:
        corpus: The folder that holds them; None where nobody named one.
        partial: Do not mind recordings that are missing.

    Returns:
        A line about each part.

    Raises:
        ManifestError: Something is missing; says what, and where to get it.
    """
    if corpus is None:
        raise ManifestError(f"got no --data-dir, expected the folder of SpokenWOZ; {_remedy()}")
    missing = [part.audio(corpus) for part in PARTS if not part.audio(corpus).is_dir()]
    files = [*(part.text(corpus) for part in PARTS), dev_list(corpus)]
    missing += [file for file in files if not file.is_file()]
    if missing:
        raise ManifestError(
            f"SpokenWOZ is not complete, missing: {', '.join(map(str, missing))}; {_remedy()}"
        )
    found = {part: _recordings(part.audio(corpus)) for part in PARTS}
    if not partial:
        for part, names in found.items():
            _check_recordings(part, corpus, names)
    return [
        f"{part.audio(corpus)}: {len(names)} of {part.dialogues} recordings" for part, names in found.items()
    ]


def _remedy() -> str:
    archives = " ".join(f"{kind}_5700_{part.name}.tar.gz" for part in PARTS for kind in ("audio", "text"))
    return (
        f"unpack {archives} from {DOWNLOADS} (CC BY-NC 4.0, see {HOME}; no checksums are published) in one folder "
        "and name it with --data-dir"
    )


def _recordings(folder: Path) -> set[str]:
    # some archives hold a second file for each, ._NAME.wav, made by macOS
    return {path.stem for path in folder.glob("*.wav") if not path.name.startswith(".")}


def _check_recordings(part: Part, corpus: Path, found: set[str]) -> None:
    """Every dialogue has its recording, and there are as many as were published."""
    if len(found) >= part.dialogues:
        return
    missing = [f"{name}.wav" for name, _ in iterate_object(part.text(corpus)) if name not in found]
    names = ", ".join(missing[:SHOWN]) + (", …" if len(missing) > SHOWN else "")
    raise ManifestError(
        f"{part.audio(corpus)}: got {len(found)} of {part.dialogues} recordings"
        + (f", missing: {names}" if missing else "")
        + f"; {_remedy()}; --stage 1 goes on without them"
    )
