"""Five hundred damaged voice notes: each is extracted from or refused, none is a crash that the client sees."""

from __future__ import annotations

import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cse.audio import encode_audio
from cse.testing.flite import flite_available, synthesize
from cse.testing.running_service import tones

pytestmark = pytest.mark.slow
COUNT = 500


def voice_notes():
    """Speech in the formats of voice notes."""
    if not flite_available():
        return [tones(2.0, suffix=suffix) for suffix in (".wav", ".ogg", ".flac")]
    speech = synthesize("Shall we meet at the station?") + 0.0
    notes = [encode_audio(speech, 16000, suffix=suffix) for suffix in (".wav", ".ogg", ".flac")]
    return [
        *notes,
        *(as_container(speech, *names) for names in (("mp4", "aac"), ("webm", "libopus"), ("mp3", "mp3"))),
    ]


def as_container(speech, container, codec):
    """What only PyAV decodes."""
    av = pytest.importorskip("av", reason='needs: pip install "cse[codecs]"')
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(speech[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=16000, frame_size=stream.codec_context.frame_size or 320
        )
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return file.getvalue()


def mutated(note, rng):
    """A note with bytes changed, taken out, put in, doubled, or its end lost; most of it at the beginning."""
    data = bytearray(note)
    for _ in range(rng.integers(1, 8)):
        reach = 200 if rng.random() < 0.5 else len(data)
        place = int(rng.integers(0, max(1, min(reach, len(data)))))
        kind = rng.integers(0, 6)
        if kind == 0:
            data[place : place + 1] = rng.bytes(1)
        elif kind == 1:
            data[place : place + 4] = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"][
                rng.integers(0, 3)
            ]
        elif kind == 2:
            del data[place : place + int(rng.integers(1, 200))]
        elif kind == 3:
            data[place:place] = rng.bytes(int(rng.integers(1, 200)))
        elif kind == 4:
            data[place:place] = data[place : place + int(rng.integers(1, 2000))]
        else:
            del data[max(40, place) :]
    return bytes(data)


def test_mutated_audio_crashes_nothing(service):
    rng = np.random.default_rng(0)
    notes = voice_notes()
    assert all(service.post(file=note).status_code == 200 for note in notes)
    damaged = [mutated(notes[number % len(notes)], rng) for number in range(COUNT)]
    with ThreadPoolExecutor(2) as pool:
        statuses = Counter(pool.map(lambda note: service.post(file=note).status_code, damaged))
    print(dict(statuses), "readers replaced:", service.metric('cse_worker_restarts_total{role="reading"}'))
    assert set(statuses) <= {200, 413, 422}
    assert statuses[200] > 20 and statuses[422] > 20
    assert service.post().status_code == 200
    assert "Traceback" not in "\n".join(service.log)
