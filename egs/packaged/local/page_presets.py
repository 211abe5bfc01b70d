"""Makes the examples of the page: voice notes in which two of flite's voices talk at once, and chats before them.

    python egs/packaged/local/page_presets.py cse/service/page/presets

Two examples share one recording and differ in the chat, so that what comes out is another voice.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from cse.audio import write_audio
from cse.cli.demo import make_voice_note
from cse.files import write_text
from cse.testing.flite import synthesize
from simulate.mixing import mix

SAMPLE_RATE = 16000
TRAIN = "The train leaves from platform nine at half past six in the morning."
DOCTOR = "The doctor said that I should drink more water and sleep longer."
SAMPLE = "Hello, this is how my voice sounds when nobody else is talking. I like to walk along the river."

CHATS = {
    "train.txt": """\
Ana: I am so glad that we take the train to Paris tomorrow.
Ben: Me too. I packed my suitcase already.
Ana: When does the train leave, and from which platform?
""",
    "doctor.txt": """\
Mia: How are you? Did you see the doctor?
Tom: Yes, I was there this morning, because of my headache.
Mia: And what did the doctor say?
""",
    "small_talk.txt": "Ana: ok\nBen: haha\n",
    "whatsapp.txt": """\
21/03/2024, 18:02 - Messages and calls are end-to-end encrypted. Only people in this chat can read them.
21/03/2024, 18:02 - Ana: Shall we have dinner together tonight?
21/03/2024, 18:03 - Ben: Good idea. Which restaurant would you like to go to?
21/03/2024, 18:04 - Ben: IMG-20240321-WA0011.jpg (file attached)
21/03/2024, 18:05 - Ana: The Italian restaurant by the river. Shall I book a table?
21/03/2024, 18:07 - Ben: Yes please. At what time should I be at the restaurant?
21/03/2024, 18:09 - Ana: PTT-20240321-WA0012.opus (file attached)
21/03/2024, 18:12 - Ben: Perfect, see you there!
21/03/2024, 18:13 - Ana: PTT-20240321-WA0013.opus (file attached)
""",
}
PRESETS = (
    {
        "title": "When does the train leave?",
        "about": "Two people at once. The chat is about a train.",
        "recording": "note.ogg",
        "chat": "train.txt",
    },
    {
        "title": "Same recording, other chat",
        "about": "Now the chat is about a doctor: the other voice comes out.",
        "recording": "note.ogg",
        "chat": "doctor.txt",
    },
    {
        "title": "A WhatsApp export",
        "about": "As the phone writes it. The note is found by its name.",
        "recording": "PTT-20240321-WA0012.ogg",
        "chat": "whatsapp.txt",
    },
    {
        "title": "A chat that does not help",
        "about": "Neither voice continues it, and the page says so.",
        "recording": "note.ogg",
        "chat": "small_talk.txt",
    },
    {
        "title": "A voice sample instead",
        "about": "No chat, but a few seconds of the wanted voice alone.",
        "recording": "note.ogg",
        "enrollment": "sample.ogg",
    },
)


def main() -> None:
    """Write recordings, chats and their list into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    sources = [
        synthesize(words, voice=voice, sample_rate=SAMPLE_RATE)
        for words, voice in ((TRAIN, "rms"), (DOCTOR, "slt"))
    ]
    _write(folder / "note.ogg", mix(sources, [0.0]).mixture)
    _write(folder / "PTT-20240321-WA0012.ogg", make_voice_note().mixture)
    _write(folder / "sample.ogg", 0.8 * synthesize(SAMPLE, voice="slt", sample_rate=SAMPLE_RATE))
    for name, text in CHATS.items():
        write_text(folder / name, text)
    write_text(folder / "presets.json", json.dumps(PRESETS, indent=2) + "\n")


def _write(path: Path, waveform: np.ndarray) -> None:
    write_audio(path, waveform, SAMPLE_RATE)


if __name__ == "__main__":
    main()
