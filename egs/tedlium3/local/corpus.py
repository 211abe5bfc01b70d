"""Where TED-LIUM 3 keeps what, which talk is in which split, and whether all is there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cse.errors import ManifestError

REMEDY = (
    "unpack TEDLIUM_release-3.tgz (54 GB, CC BY-NC-ND 3.0) from https://www.openslr.org/51 and name its folder with "
    "--data-dir"
)
SHOWN = 10
SPLITS = ("train", "dev", "test")
Partition = Literal["speaker-adaptation", "legacy"]


def talks(corpus: Path) -> dict[str, Path]:
    """The transcript of every talk by its name; its recording is ../sph/NAME.sph."""
    found = (path for split in SPLITS for path in sorted((corpus / "legacy" / split / "stm").glob("*.stm")))
    return {path.stem: path for path in found if not path.name.startswith(".")}


def recording(transcript: Path) -> Path:
    """The sphere file that belongs to a transcript."""
    return transcript.parent.parent / "sph" / f"{transcript.stem}.sph"


def legacy_split(transcript: Path) -> str:
    """The split that a talk is distributed in."""
    return transcript.parent.parent.name


def splits(corpus: Path, partition: Partition) -> dict[str, str]:
    """The split of every talk by its name.

    Args:
        corpus: Folder of the corpus.
        partition: `speaker-adaptation`, by its lists, which the paper's test lists are made of; or `legacy`, by the
            folder that a talk lies in.

    Raises:
        ManifestError: A talk is in two splits, or a list is empty.
    """
    if partition == "legacy":
        return {name: legacy_split(transcript) for name, transcript in talks(corpus).items()}
    found: dict[str, str] = {}
    for split in SPLITS:
        path = _list(corpus, split)
        # names, with or without the suffix of a file
        names = [line.strip().removesuffix(".sph") for line in path.read_text(encoding="utf-8").splitlines()]
        for name in filter(None, names):
            if found.setdefault(name, split) != split:
                raise ManifestError(
                    f"{path}: {name} is in {found[name]}.lst too, expected every talk in one split"
                )
        if split not in found.values():
            raise ManifestError(f"{path}: got no talk, expected one name a line")
    return found


def check(corpus: Path | None, partition: Partition, *, partial: bool = False) -> list[str]:
    """Look for all folders, lists and talks.

    Args:
        corpus: The folder that holds them; None where nobody named one.
        partition: Which splits.
        partial: Do not mind talks that are missing.

    Returns:
        A line about each split.

    Raises:
        ManifestError: Something is missing; says what, and where to get it.
    """
    if corpus is None:
        raise ManifestError(f"got no --data-dir, expected the folder of TED-LIUM 3; {REMEDY}")
    wanted = [corpus / "legacy" / split / kind for split in SPLITS for kind in ("stm", "sph")]
    missing = [str(path) for path in wanted if not path.is_dir()]
    if partition == "speaker-adaptation":
        missing += [str(_list(corpus, split)) for split in SPLITS if not _list(corpus, split).is_file()]
    if missing:
        raise ManifestError(f"TED-LIUM 3 is not complete, missing: {', '.join(missing)}; {REMEDY}")
    transcripts, chosen = talks(corpus), splits(corpus, partition)
    missing = [
        name for name in chosen if name not in transcripts or not recording(transcripts[name]).is_file()
    ]
    if missing and not partial:
        names = ", ".join(missing[:SHOWN]) + (", …" if len(missing) > SHOWN else "")
        raise ManifestError(
            f"{corpus}: {len(missing)} of {len(chosen)} talks lack their transcript or their recording: {names}; "
            f"{REMEDY}; --stage 1 goes on without them"
        )
    lost = set(missing)
    there = {split: [name not in lost for name in chosen if chosen[name] == split] for split in SPLITS}
    return [f"{partition} {split}: {sum(found)} of {len(found)} talks" for split, found in there.items()]


def _list(corpus: Path, split: str) -> Path:
    return corpus / "speaker-adaptation" / f"{split}.lst"
