"""Stage 1 of the DailyTalk recipe: the corpus's folders -> utterances.jsonl, each turn with all turns before it.

The corpus lies as data/<dialogue>/<turn>_<speaker>_d<dialogue>.wav and .txt (Lee et al., DailyTalk, ICASSP 2023). The
manifest names the recordings where they are. Dialogues are worked on one by one, by several processes, and written as
they come: time grows with the corpus and no further, memory does not.

What is wrong with the corpus is in left_out.json beside the manifest, not a reason to stop, unless it is too much:

    no audio            a turn without .wav, or one that cannot be read: history for later turns, no utterance
    no words            a turn without .txt, or with an empty one: an utterance, but nobody's history
    twice               a second pair of files for a turn: the first by name is taken
    gap                 a number that no file has: the histories of later turns lack it
    other encoding      words that are no UTF-8, read as Windows-1252
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import soundfile
from tqdm import tqdm

from cse.corpora.report import Report
from cse.corpora.segments import CutFile, LeftOut
from cse.corpora.splits import Splits, draw, read_names
from cse.engines.choice import EngineName, make_engine
from cse.engines.engine import Engine
from cse.errors import CseError, ManifestError, one_line
from cse.history import Turn
from cse.manifest import Utterance, write_manifest

REPORT = "left_out.json"
DEV_SHARE = 0.05  # of the dialogues, where no list says which
_FILE = re.compile(r"(?P<turn>\d+)_(?P<speaker>\d+)_d(?P<dialogue>\d+)\.(?:wav|txt)")


@dataclass(frozen=True)
class Dialogue:
    """What became of one dialogue: utterances without a split, what was left out, and what is odd but was kept."""

    number: str
    utterances: tuple[Utterance, ...]
    left_out: tuple[LeftOut, ...]
    kept: tuple[LeftOut, ...]


def read_dialogue(folder: Path) -> Dialogue:
    """Read the dialogue of one folder, oldest turn first."""
    stems = _stems(folder)
    left_out, kept = [], [*_twice(stems), *_gaps(folder.name, sorted(stems))]
    utterances = []
    history: list[Turn] = []
    for number in sorted(stems):
        stem = stems[number][0]
        speaker = stem.split("_")[1]
        text, odd = _read_text(folder / f"{stem}.txt")
        kept.extend(odd)
        audio = (folder / f"{stem}.wav").resolve()
        sound = _sound(audio)
        if isinstance(sound, LeftOut):
            left_out.append(sound)
        else:
            utterances.append(
                Utterance(
                    id=stem,
                    audio=audio,
                    speaker=speaker,
                    duration_s=sound.duration_s,
                    sample_rate=sound.sample_rate,
                    text=text,
                    dialogue=f"dailytalk-{folder.name}",
                    history=tuple(history),
                )
            )
        if text is not None:
            history.append(Turn(text, speaker))
    return Dialogue(folder.name, tuple(utterances), tuple(left_out), tuple(kept))


def _stems(folder: Path) -> dict[int, list[str]]:
    """Names of files without their suffix, by number of the turn; other files are passed over."""
    stems: dict[int, set[str]] = {}
    for path in folder.iterdir():
        match = _FILE.fullmatch(path.name)
        if match and match["dialogue"] == folder.name:
            stems.setdefault(int(match["turn"]), set()).add(path.stem)
    return {turn: sorted(names) for turn, names in stems.items()}


def _twice(stems: dict[int, list[str]]) -> Iterator[LeftOut]:
    for names in stems.values():
        for name in names[1:]:
            yield LeftOut(name, "twice", f"is there for the same turn as {names[0]}, which is taken")


def _gaps(dialogue: str, numbers: list[int]) -> Iterator[LeftOut]:
    for number in sorted(set(range(max(numbers, default=-1) + 1)) - set(numbers)):
        yield LeftOut(f"{number}_?_d{dialogue}", "gap", "has no file, although there are later turns")


def _read_text(path: Path) -> tuple[str | None, list[LeftOut]]:
    """The words of a turn, None where there are none, and what is odd about them."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, [LeftOut(path.stem, "no words", "has no .txt")]
    odd = []
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
        odd.append(LeftOut(path.stem, "other encoding", "has words that are no UTF-8; read as Windows-1252"))
    text = " ".join(text.split())
    if not text:
        odd.append(LeftOut(path.stem, "no words", "has an empty .txt"))
    return text or None, odd


def _sound(path: Path) -> CutFile | LeftOut:
    """Length and rate of a recording, from its header; or why it cannot be used."""
    if not path.is_file():
        return LeftOut(path.stem, "no audio", "has no .wav")
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        return LeftOut(
            path.stem, "no audio", f"has a .wav that cannot be read ({error.error_string.rstrip('.')})"
        )
    if not info.frames:
        return LeftOut(path.stem, "no audio", "has a .wav without samples")
    return CutFile(path, info.duration, info.samplerate)


def folders_of(corpus: Path) -> list[Path]:
    """Folders of dialogues in numerical order.

    Raises:
        ManifestError: There are none.
    """
    folders = [path for path in (corpus / "data").glob("*") if path.is_dir() and path.name.isdigit()]
    if not folders:
        raise ManifestError(f"{corpus}: got no folder data/<number>, expected DailyTalk as it is distributed")
    return sorted(folders, key=lambda path: int(path.name))


def splits_of(dialogues: list[str], lists: Path, *, seed: int) -> Splits:
    """The paper's test dialogues; its validation dialogues, or a draw from the others where that list is not there."""
    test = frozenset(read_names(lists / "test_dialog.txt"))
    if (lists / "val_dialog.txt").is_file():
        return Splits(dev=frozenset(read_names(lists / "val_dialog.txt")), test=test)
    rest = [dialogue for dialogue in dialogues if dialogue not in test]
    return Splits(dev=draw(rest, count=max(1, round(DEV_SHARE * len(rest))), seed=seed), test=test)


def read_corpus(
    folders: list[Path], *, splits: Splits | None, only_split: str, engine: Engine, report: Report
) -> Iterator[Utterance]:
    """The utterances of all dialogues as they come; what is wrong with them goes into the report."""
    dialogues = engine.map(read_dialogue, folders, name=_name)
    for dialogue in tqdm(dialogues, total=len(folders), unit="dialogue", disable=None):
        report.leave_out(dialogue.left_out)
        report.keep(dialogue.kept)
        split = only_split if splits is None else splits.of(dialogue.number)
        for utterance in dialogue.utterances:
            report.utterances += 1
            yield replace(utterance, split=split)


def _name(folder: Path) -> str:
    return f"dialogue {folder.name}"


def prepare(options: argparse.Namespace) -> Report:
    """Write manifest and report.

    Raises:
        ManifestError: No dialogues, lists that cannot be used, or too much to leave out: then there is no manifest.
    """
    folders = folders_of(options.corpus)
    splits = options.lists and splits_of(
        [folder.name for folder in folders], options.lists, seed=options.seed
    )
    engine, report = make_engine(options.engine, workers=options.workers), Report()

    def checked() -> Iterator[Utterance]:
        yield from read_corpus(folders, splits=splits, only_split=options.split, engine=engine, report=report)
        report.check(options.max_left_out)

    options.output.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_manifest(options.output, checked())
    finally:
        report.write(options.output.parent / REPORT)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--output", type=Path, required=True, help="utterances.jsonl to write")
    parser.add_argument(
        "--lists", type=Path, help="folder of test_dialog.txt and, if it is there, val_dialog.txt"
    )
    parser.add_argument("--split", default="dev", help="of all dialogues, without --lists (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of dev dialogues (%(default)s)")
    parser.add_argument("--engine", choices=get_args(EngineName), default="serial", help="(%(default)s)")
    parser.add_argument("--workers", type=int, help="processes of the engine; one a core if left out")
    parser.add_argument(
        "--max-left-out", type=float, default=0.05, metavar="SHARE", help="of the turns (%(default)s)"
    )
    options = parser.parse_args()
    try:
        report = prepare(options)
    except CseError as error:
        print(f"prepare.py: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    print(f"{options.output}: {report.summary()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
