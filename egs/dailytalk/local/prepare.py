"""DailyTalk's folders -> utterances.jsonl: every turn with all turns before it as history.

The corpus lies as data/<dialogue>/<turn>_<speaker>_d<dialogue>.wav and .txt (Lee et al., DailyTalk, ICASSP 2023).
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import soundfile

from cse.errors import CseError, ManifestError, one_line
from cse.history import Turn
from cse.manifest import Utterance, write_manifest

_TURN = re.compile(r"(?P<turn>\d+)_(?P<speaker>\d+)_d(?P<dialogue>\d+)\.wav")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder that holds data/")
    parser.add_argument("--output", type=Path, required=True, help="utterances.jsonl to write")
    parser.add_argument("--split", default="dev", help="value of the field split (default: %(default)s)")
    options = parser.parse_args()
    try:
        utterances = [
            utterance
            for folder in dialogue_folders(options.corpus)
            for utterance in read_dialogue(folder, options.split)
        ]
        options.output.parent.mkdir(parents=True, exist_ok=True)
        write_manifest(options.output, utterances)
    except CseError as error:
        print(f"prepare.py: {one_line(error)}", file=sys.stderr)
        return error.exit_code
    print(f"{options.output}: {len(utterances)} utterances")
    return 0


def dialogue_folders(corpus: Path) -> list[Path]:
    """Folders of dialogues in numerical order.

    Raises:
        ManifestError: If there are none.
    """
    folders = [path for path in (corpus / "data").glob("*") if path.is_dir() and path.name.isdigit()]
    if not folders:
        raise ManifestError(f"{corpus}: got no folder data/<number>, expected DailyTalk as it is distributed")
    return sorted(folders, key=lambda path: int(path.name))


def read_dialogue(folder: Path, split: str) -> list[Utterance]:
    """Utterances of one dialogue, oldest first."""
    matches = [(match, path) for path in folder.glob("*.wav") if (match := _TURN.fullmatch(path.name))]
    history: list[Turn] = []
    utterances = []
    for match, audio in sorted(matches, key=lambda pair: int(pair[0]["turn"])):
        text = audio.with_suffix(".txt").read_text(encoding="utf-8").strip()
        info = soundfile.info(str(audio))
        utterances.append(
            Utterance(
                id=audio.stem,
                audio=audio.resolve(),
                speaker=match["speaker"],
                duration_s=info.duration,
                sample_rate=info.samplerate,
                text=text,
                dialogue=f"dailytalk-{match['dialogue']}",
                history=tuple(history),
                split=split,
            )
        )
        history.append(Turn(text, match["speaker"]))
    return utterances


if __name__ == "__main__":
    sys.exit(main())
