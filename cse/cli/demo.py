"""`cse demo`: makes a voice note with two people talking at once and a chat before it, and does the main job on it."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import numpy as np

from cse.audio import write_audio
from cse.chat import read_history
from cse.cli.outputs import check_folder
from cse.cli.parser import Parser
from cse.cli.results import json_line
from cse.errors import ConfigError, one_line, some
from cse.evaluation.metrics import si_sdr
from cse.evaluation.plots import save_spectrograms
from cse.extractor import Extractor
from cse.files import write_text
from cse.history import Turn
from cse.testing.flite import synthesize
from simulate.mixing import Mix, mix

SAMPLE_RATE = 16000
CHAT = (
    Turn("Shall we have dinner together tonight?", "Ana"),
    Turn("Good idea. Which restaurant would you like to go to?", "Ben"),
    Turn("The Italian restaurant by the river. Shall I book a table?", "Ana"),
    Turn("Yes please. At what time should I be at the restaurant?", "Ben"),
)
ANSWER = "I will book a table at the Italian restaurant for dinner at seven."
DISTURBANCE = "The football team lost the game because the goalkeeper was injured."
CHAT_FILE = "chat.txt"
_WRITTEN = re.compile(r"(voice_note\.ogg|chat\.txt|voice\.wav|talker\d+\.wav|spectrograms\.png|result\.json)")


def main(argv: list[str]) -> int:
    """Make the note, extract the voice that continues the chat, write everything into one folder."""
    parser = Parser(prog="cse demo", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "--output", metavar="DIR", default="demo_output", help="folder (default: %(default)s)"
    )
    parser.add_argument("--model", metavar="NAME|PATH", help="another model than the packaged one")
    options = parser.parse_args(argv)
    folder = Path(options.output)
    check_folder("--output", folder)
    _check_no_others("--output", folder)
    folder.mkdir(parents=True, exist_ok=True)

    note = make_voice_note()
    audio, chat = folder / "voice_note.ogg", folder / CHAT_FILE
    write_text(chat, _chat_text())  # first: by it the folder is known to be a demo's
    write_audio(audio, note.mixture, SAMPLE_RATE)

    extractor = Extractor.from_pretrained(options.model)
    result = extractor.extract(audio, read_history(chat))
    result.save(folder / "voice.wav")
    for number, candidate in enumerate(result.candidates, start=1):
        write_audio(folder / f"talker{number}.wav", candidate.waveform, SAMPLE_RATE)
    brought = list(zip(map(_said, CHAT), result.turn_attribution or (), strict=False))
    save_spectrograms(
        folder / "spectrograms.png",
        {
            "voice note: two people at once": note.mixture,
            f"extracted: the voice that continues the chat (probability {result.probability:.2f})": result.waveform,
            "what that person really said": note.sources[0],
        },
        SAMPLE_RATE,
        brought=brought,
    )
    write_text(folder / "result.json", json.dumps(result.to_dict("voice.wav"), indent=2) + "\n")
    print(json_line(result.to_dict(str(folder / "voice.wav"))))
    if brought:
        print("what each turn brought to the choice, in log-odds:", file=sys.stderr)
    for turn, value in brought:
        print(f"  {value:+.2f}  {turn}", file=sys.stderr)
    print(_verdict(note, result.waveform, folder), file=sys.stderr)
    return 0


def make_voice_note() -> Mix:
    """A man answers the chat's last turn while a woman talks about something else, both equally loud.

    Raises:
        CseError: If the synthesiser flite is missing.
    """
    answer = synthesize(ANSWER, voice="rms", sample_rate=SAMPLE_RATE)
    disturbance = synthesize(DISTURBANCE, voice="slt", sample_rate=SAMPLE_RATE)
    return mix([answer, disturbance], [0.0])


def _check_no_others(option: str, folder: Path) -> None:
    """Refuse a folder with files of the demo's names in which no demo left its chat."""
    try:
        names = os.listdir(folder) if os.path.isdir(folder) else []  # it may still be to be made
        found = sorted(name for name in names if _WRITTEN.fullmatch(name))
        ours = CHAT_FILE in found and (folder / CHAT_FILE).read_bytes() == _chat_text().encode()
    except OSError as error:
        raise ConfigError(
            f"{option} {folder}: cannot read: {one_line(error)}; name another folder"
        ) from error
    if found and not ours:
        raise ConfigError(
            f"{option} {folder}: got a folder with {some(found)} of another origin, which would be lost; expected an "
            "empty one, or that of an earlier demo"
        )


def _chat_text() -> str:
    return "".join(f"{_said(turn)}\n" for turn in CHAT)


def _said(turn: Turn) -> str:
    return f"{turn.speaker}: {turn.text}"


def _verdict(note: Mix, estimate: np.ndarray, folder: Path) -> str:
    """One line on how it went; the demo can tell, since it made the note itself."""
    to_target, to_other = (si_sdr(estimate[: note.sources.shape[1]], source) for source in note.sources)
    before = si_sdr(note.mixture, note.sources[0])
    voice = "the right" if to_target > to_other else "the WRONG"
    return (
        f"{voice} voice, {to_target - before:.1f} dB clearer than in the note (SI-SDR improvement); "
        f"listen to {folder}/voice_note.ogg and {folder}/voice.wav, look at {folder}/spectrograms.png"
    )
