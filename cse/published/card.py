"""The model card of a converted network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cse.published.networks import HEADS, LANGUAGE_MODEL, MAX_TURNS, SAMPLE_RATE_HZ, SPEAKER_ENCODER

_KINDS = {
    "Separator": "SepFormer: takes the talkers of a mixture apart, in no particular order",
    "ContSep": "ContSep: takes the talkers apart, and says by the place of its outputs which one continues the history",
    "ContExt": "ContExt: extracts the voice that continues the history",
    "HContExt": "H-ContExt: extracts the voice that continues the history, that sounds like the enrollment, or both",
}
_CARD = """# {kind}

Converted by `cse convert-checkpoint` from weights that others trained and published: Kim, Mira et al., "Contextual
Speech Extraction: Leveraging Textual History as an Implicit Cue for Target Speech Extraction", ICASSP 2025,
arXiv 2503.08798; https://github.com/miraodasilva/contextual-speech-extraction.

| | |
|---|---|
| converted from | `{file}` |
| its sha256 | `{sha256}` |
| network | {what}; {talkers} talkers; {parameters:,} parameters; {rate} Hz |
| licence of the weights | CC BY-NC, that of the official repository: not for commercial use, name the authors |
| training data | DailyTalk, SpokenWOZ or TED-LIUM 3; the file does not say which |
| made by | the authors of the paper; converting changed names, and precision to float32, nothing else |

## Measured

Nothing with these weights by `cse`: the paper has the authors' numbers; measure yours with `cse evaluate`. That a
converted network computes what the published one computes (to 1e-4) is tested with made-up weights.

## Before use

- The sizes were read off the weights; {heads} attention heads, chunks of 250 frames and {rate} Hz are as published.
- The last samples (less than a frame's step, 1 ms) come out as zeros, as they do there.
{notes}"""
_TEXT = f"""- The history is read by Llama-3-8B, which is not in this checkpoint: `{LANGUAGE_MODEL}`,
  with a licence of its own, is downloaded when the first history is encoded. The last {MAX_TURNS} turns are read.
- It cannot say that nobody continues the history.
"""
_NOTES = {
    "Separator": "",
    "ContSep": _TEXT
    + "- The choice depends on the order of the outputs: it is no judgement of what they say.\n",
    "ContExt": _TEXT,
    "HContExt": _TEXT
    + f"""- The enrollment is heard by `{SPEAKER_ENCODER}` (ECAPA-TDNN, embeddings of any length), which is not in
  this checkpoint either. The published network was trained with 16 kHz enrollments cut from the target itself.
""",
}


def model_card(file: str, sha256: str, model: Mapping[str, Any], parameters: int) -> str:
    """Write the card, Markdown.

    Args:
        file: Name of the published file.
        sha256: Of its content.
        model: The config of the model.
        parameters: Number of weights.
    """
    kind = model["_target_"].rpartition(".")[2]
    return _CARD.format(
        kind=_KINDS[kind].partition(":")[0],
        what=_KINDS[kind],
        file=file,
        sha256=sha256,
        talkers=model["backbone"]["talkers"],
        parameters=parameters,
        rate=SAMPLE_RATE_HZ,
        heads=HEADS,
        notes=_NOTES[kind],
    )
