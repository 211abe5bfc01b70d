"""Load on the service with a tiny model: 200 clients for a minute, and the memory over 2,000 requests."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import requests

from cse.testing.running_service import MESSAGES, RunningService, tones

pytestmark = pytest.mark.benchmark
CLIENTS = 200
DURATION_S = 60.0
REQUESTS = 2000
WARM_UP = 400


def allocated_mb(pids: list[int]) -> float:
    """Memory that these processes allocated and that is resident, MB; not their code, which others may share."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Anonymous:"):
                total += int(line.split()[1])
    return total / 1024


def processes(service: RunningService) -> list[int]:
    return [service.pid, *service.workers("reading"), *service.workers("extracting")]


def extract(session: requests.Session, service: RunningService, note: bytes) -> int:
    form = {"file": ("n", note), "messages": (None, MESSAGES), "response_format": (None, "ogg")}
    return session.post(f"{service.url}/v1/audio/extractions", files=form, timeout=120).status_code


def test_two_hundred_clients_for_a_minute(capsys):
    note = tones(1.0, suffix=".ogg")
    outcomes: Counter[str] = Counter()
    times_s: list[float] = []
    with RunningService(workers=2, max_waiting=16, wait_limit_s=30.0) as service:
        service.wait_until_ready()
        begin = threading.Barrier(CLIENTS + 1)
        end = [0.0]

        def client() -> None:
            with requests.Session() as session:
                begin.wait()
                while time.monotonic() < end[0]:
                    started = time.monotonic()
                    try:
                        status = str(extract(session, service, note))
                    except requests.RequestException as error:
                        status = type(error).__name__
                    outcomes[status] += 1
                    if status == "200":
                        times_s.append(time.monotonic() - started)
                    else:
                        time.sleep(0.5)  # a client that is told to come back does not do so at once

        threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        end[0] = time.monotonic() + DURATION_S
        begin.wait()
        for thread in threads:
            thread.join()
        restarts = service.metric('cse_worker_restarts_total{role="reading"}')
        assert not any("Traceback" in line for line in service.log)
    with capsys.disabled():
        quantiles = np.percentile(times_s, [50, 95, 99]) if times_s else [np.nan] * 3
        print(f"\n{CLIENTS} clients, {DURATION_S:.0f} s, 2 workers, notes of 1 s: {dict(outcomes)}")
        print(f"answered {outcomes['200'] / DURATION_S:.1f} a second; s to an answer: 50 % {quantiles[0]:.2f}, "
              f"95 % {quantiles[1]:.2f}, 99 % {quantiles[2]:.2f}")  # fmt: skip
    assert set(outcomes) <= {"200", "503"}
    assert outcomes["200"] > 0
    assert restarts == 0


def test_memory_over_two_thousand_requests(capsys):
    notes = [tones(seconds, suffix=suffix) for seconds in (0.5, 2.0, 8.0) for suffix in (".ogg", ".wav")]
    measured = []
    with RunningService(workers=1, max_body_mb=5.0) as service, requests.Session() as session:
        service.wait_until_ready()
        for number in range(WARM_UP + REQUESTS):
            assert extract(session, service, notes[number % len(notes)]) == 200
            if number >= WARM_UP and (number - WARM_UP) % 200 == 0:
                measured.append(allocated_mb(processes(service)))
        measured.append(allocated_mb(processes(service)))
    with capsys.disabled():
        print(
            f"\nallocated memory of all processes over {REQUESTS} requests, MB: {[round(value) for value in measured]}"
        )
    assert max(measured) / measured[0] - 1 < 0.05
    assert 1 - min(measured) / measured[0] < 0.05
