"""What comes out of streams of two real voices, each asked for by 5 s of itself, beside the whole recording at once.

Talkers of LibriSpeech in the development data whose first utterance is longer than 12 s; the first 5 s of it are the
enrollment, and what follows is mixed at equal level with the next talker's, both ways round.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cse.audio import load_waveform
from cse.evaluation.metrics import si_sdr
from cse.extractor import Extractor
from cse.manifest import read_utterances
from cse.streaming import StreamingExtractor

pytestmark = pytest.mark.benchmark
RATE_HZ = 16000
ENROLLMENT_S, LEAST_S, LEAST_JUDGED_S, CHUNK_S = 5, 12, 1.0, 0.1


def voices(data: Path) -> list[np.ndarray]:
    """One recording of each talker, all equally loud."""
    first: dict[str, Path] = {}
    for utterance in read_utterances(data / "speech" / "utterances.jsonl", split="dev"):
        if utterance.extra.get("corpus") == "librispeech":
            first.setdefault(utterance.speaker, utterance.audio)
    read = [load_waveform(first[speaker], RATE_HZ) for speaker in sorted(first)]
    return [0.05 * voice / voice.std() for voice in read if len(voice) > LEAST_S * RATE_HZ]


def test_streams_of_real_voices(development_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = voices(development_data)
    pairs = list(zip(found[::2], found[1::2], strict=False))
    extractor = Extractor.from_pretrained()
    rows = []
    for wanted, other in [*pairs, *((other, wanted) for wanted, other in pairs)]:
        enrollment = wanted[: ENROLLMENT_S * RATE_HZ]
        samples = min(len(wanted) - len(enrollment), len(other))
        target, interferer = wanted[len(enrollment) :][:samples], other[:samples]
        mixture = (target + interferer).astype(np.float32)
        stream = StreamingExtractor(
            extractor=extractor,
            history=None,
            enrollment=enrollment,
            sample_rate=RATE_HZ,
            before_choice="mixture",
        )
        chunk = round(CHUNK_S * RATE_HZ)
        parts = [stream.push(mixture[start : start + chunk]) for start in range(0, samples, chunk)]
        streamed = np.concatenate([*parts, stream.flush()])
        if stream.choice is None:
            rows.append((np.nan,) * 4)
            continue
        judged = slice(round((stream.choice.time_s + stream.latency_s) * RATE_HZ), samples)
        if samples - judged.start < LEAST_JUDGED_S * RATE_HZ:
            rows.append((np.nan,) * 4)
            continue
        whole = extractor.extract(mixture, sample_rate=RATE_HZ, enrollment=enrollment).waveform
        at_first = si_sdr(mixture[judged], target[judged])
        rows.append(
            (
                stream.choice.time_s,
                float(
                    si_sdr(streamed[judged], target[judged]) > si_sdr(streamed[judged], interferer[judged])
                ),
                si_sdr(streamed[judged], target[judged]) - at_first,
                si_sdr(whole[judged], target[judged]) - at_first,
            )
        )
    table = np.array(rows)
    table = table[np.isfinite(table[:, 0])]
    right = table[:, 1] > 0
    streamed_db, whole_db = table[right, 2:].mean(axis=0)
    with capsys.disabled():
        print(
            f"\n{len(rows)} streams: {right.sum()} of the right voice, {(~right).sum()} of the wrong one, "
            f"{len(rows) - len(table)} not sure in time; sure after {np.median(table[:, 0]):.1f} s (median); where "
            f"right, SI-SDRi {streamed_db:.1f} dB, the whole recording at once {whole_db:.1f} dB"
        )
    assert right.mean() > 0.5
