"""Chats that take long to read: they are stopped, by a time of their own, and take nothing along."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator

import numpy as np
import pytest
import requests

from cse.testing.running_service import RunningService, tones

pytest.importorskip("websockets", reason='needs: pip install "cse[service]"')
from websockets.sync.client import connect

SLOW = "A: b\n" * 2_000_000  # ten times the limit, and more on a slow machine
JUNK_BYTES = 10 * 2**20


@pytest.fixture(scope="module")
def hasty(extra: None) -> Iterator[RunningService]:
    with RunningService(read_limit_s=0.2, max_body_mb=25, max_streams=1, max_message_mb=16) as service:
        yield service.wait_until_ready()


def preview(service, history):
    files = {"history": ("chat.txt", io.BytesIO(history.encode()))}
    return requests.post(f"{service.url}/v1/messages/preview", files=files, timeout=60)


def is_too_slow(error):
    return error["code"] == "time_limit" and error["message"].startswith("history: ")


def test_a_chat_that_is_slow_to_read_is_refused_and_the_next_one_is_read(hasty):
    for response in (preview(hasty, SLOW), hasty.post(history=SLOW.encode())):
        assert response.status_code == 504 and is_too_slow(response.json()["error"])
        assert preview(hasty, "Ana: Hi").status_code == 200


def test_a_job_says_so_too(hasty):
    job = hasty.post("/v1/jobs", history=SLOW.encode()).json()["id"]
    hasty.wait_for(lambda: hasty.get(f"/v1/jobs/{job}").json()["status"] == "failed", limit_s=60)
    assert is_too_slow(hasty.get(f"/v1/jobs/{job}").json()["error"])
    for _ in range(2):
        assert is_too_slow(hasty.get(f"/v1/jobs/{job}/audio").json()["error"])


def test_a_stream_is_told_so_too(hasty):
    with connect(f"ws{hasty.url.removeprefix('http')}/v1/audio/stream", proxy=None) as client:
        client.send(json.dumps({"history": SLOW, "sample_rate": 16000}))
        assert is_too_slow(json.loads(client.recv(timeout=60))["error"])


def test_finished_jobs_do_not_keep_what_was_sent(hasty):
    """What they hold is counted, and the process grows by no more."""
    junk = np.random.default_rng(0).bytes(JUNK_BYTES)
    wav = tones(0.5) + b"junk" + struct.pack("<I", JUNK_BYTES) + junk
    wav = wav[:4] + struct.pack("<I", len(wav) - 8) + wav[8:]

    def finish(**fields):
        job = hasty.post("/v1/jobs", file=wav, **fields).json()["id"]
        hasty.wait_for(lambda: hasty.get(f"/v1/jobs/{job}").json()["status"] in ("succeeded", "failed"))
        return hasty.get(f"/v1/jobs/{job}").json()["status"]

    assert finish() == "succeeded" and finish(target="bug") == "failed"
    before = hasty.metric("process_resident_memory_bytes")
    assert [finish() for _ in range(4)] == 4 * ["succeeded"]
    assert [finish(target="bug") for _ in range(4)] == 4 * ["failed"]
    assert hasty.metric("process_resident_memory_bytes") - before < 3 * JUNK_BYTES
    assert hasty.metric("cse_held_bytes") < 2**20
