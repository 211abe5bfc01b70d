"""What may go wrong around a request: workers that die or hang, clients that send too much, too slowly, or leave."""

from __future__ import annotations

import os
import signal
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from cse.testing.running_service import tones

SECRET = "xyzzy-plugh"
HEAD = (
    "POST /v1/audio/extractions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\n{}\r\n\r\n"
)


def code(response):
    return response.json()["error"]["code"]


@contextmanager
def meanwhile(work):
    """Do something in another thread; its result is there after the block."""
    with ThreadPoolExecutor(1) as pool:
        future: Future = pool.submit(work)
        yield future


@contextmanager
def frozen_reader(service, **fields):
    """The reader stands still while a request comes in."""
    (reader,) = service.workers("reading")
    os.kill(reader, signal.SIGSTOP)
    with meanwhile(lambda: service.post(**fields)) as future:
        service.wait_for(lambda: service.metric('cse_workers_busy{role="reading"}') == 1, limit_s=20)
        yield reader, future


def idle(service):
    service.wait_for(lambda: service.metric('cse_workers_busy{role="extracting"}') == 0, limit_s=20)


def send(service, data, *, close_writing=False):
    """Send bytes; return all that comes back until the connection is closed."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(data)
        if close_writing:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


# ---- workers


def test_a_killed_reader_fails_its_request_and_the_next_one_succeeds(service):
    with frozen_reader(service) as (reader, future):
        os.kill(reader, signal.SIGKILL)
    assert (future.result().status_code, code(future.result())) == (500, "worker_died")
    service.wait_until_ready()
    assert service.post().status_code == 200


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({"enrollment": tones(0.5)}, "invalid_audio"), ({"history": "Ana: Hi"}, "invalid_history")],
)
def test_what_a_reader_crashes_on_is_invalid(service, fields, expected):
    with frozen_reader(service, **fields) as (reader, future):
        os.kill(reader, signal.SIGSEGV)
        os.kill(reader, signal.SIGCONT)
    assert (future.result().status_code, code(future.result())) == (422, expected)
    service.wait_until_ready()
    assert service.post().status_code == 200


def test_a_killed_extractor_fails_its_request_and_the_next_one_succeeds(service):
    before = service.metric('cse_worker_restarts_total{role="extracting"}')
    response = service.post(target="die")
    assert (response.status_code, code(response)) == (500, "worker_died")
    service.wait_until_ready()
    assert service.post().status_code == 200
    assert service.metric('cse_worker_restarts_total{role="extracting"}') == before + 1


def test_a_worker_that_dies_while_it_waits_costs_no_request(service):
    for role in ("reading", "extracting"):
        (worker,) = service.workers(role)
        os.kill(worker, signal.SIGKILL)
        service.wait_for(lambda role=role, old=worker: service.workers(role) not in ([], [old]), limit_s=60)
        service.wait_until_ready()
        assert service.post().status_code == 200


def test_work_that_takes_too_long_is_stopped(service):
    before = service.workers("extracting")
    started = time.monotonic()
    response = service.post(target="slow:60")
    assert (response.status_code, code(response)) == (504, "time_limit")
    assert time.monotonic() - started < 20
    assert service.post().status_code == 200
    assert service.workers("extracting") == before


def test_work_that_does_not_stop_is_killed(service):
    before = service.workers("extracting")
    assert code(service.post(target="stuck:60")) == "time_limit"
    service.wait_for(lambda: service.workers("extracting") not in ([], before), limit_s=60)
    service.wait_until_ready()
    assert service.post().status_code == 200


LONG_AUDIO = """
import numpy as np
from cse.audio import encode_audio
from cse.service.reading_tasks import audio_task
noise = encode_audio(np.zeros(16000 * 7000, np.float32), 16000, suffix=".flac")
task = audio_task(noise, None)
"""
LONG_CHAT = """
import json
from cse.service.reading_tasks import conversation_task
words = "\\u00e9" + "x" * 7_000_000
turns = json.dumps([{"speaker": "Ana", "text": words} for _ in range(7)], ensure_ascii=False).encode()
task = conversation_task(turns, "auto", at=None, audio=None, chat=None)
"""


@pytest.mark.parametrize(
    ("task", "memory_mb", "said"),
    [
        (LONG_AUDIO, 150, "InvalidAudioError file: got audio"),
        (LONG_CHAT, 20, "HistoryError history: got a chat"),
    ],
)
def test_what_takes_too_much_memory_to_read_is_refused(task, memory_mb, said):
    """In a process, because limits cannot be lifted again."""
    import subprocess
    import sys

    script = f"""{task}
from cse.service.reading import Reading
role = Reading(
    max_duration_s=7200, max_enrollment_s=9, memory_mb={memory_mb}, time_limit_s=60, read_limit_s=60
)
role.load()
try:
    role.work(task, lambda: False)
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith(said), done
    assert "MB" in done.stdout


# ---- clients


def test_a_body_that_is_too_long_is_refused_before_it_is_read(service):
    response = service.post(file=bytes(2 * 2**20))
    assert (response.status_code, code(response)) == (413, "body_too_large")
    announced = send(service, HEAD.format("Content-Length: 999999999\r\nExpect: 100-continue").encode())
    assert announced.startswith(b"HTTP/1.1 413 ") and b"100 Continue" not in announced


def test_a_chunked_body_that_is_too_long_is_refused_while_it_comes(service):
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="n"\r\n\r\n'
    start = HEAD.format("Transfer-Encoding: chunked").encode() + b"%x\r\n%s\r\n" % (len(part), part)
    answer = send(service, start + 32 * chunk)
    assert answer.startswith(b"HTTP/1.1 413 ") and b"body_too_large" in answer
    assert service.metric("cse_held_bytes") == 0


def test_slow_clients_do_not_hold_workers(service):
    slow = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(20)]
    try:
        for connection in slow:
            connection.sendall(HEAD.format("Content-Length: 1000").encode() + b"--b\r\n")
        assert service.post().status_code == 200
        for connection in slow:
            connection.settimeout(30)
            assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "])
@pytest.mark.parametrize("first", [True, False])
def test_headers_that_never_end_are_given_up(service, first, sent):
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        if not first:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answer = b""
            while not answer.endswith(b'"alive"}'):
                answer += connection.recv(65536)
        connection.sendall(sent)
        started = time.monotonic()
        assert connection.recv(65536) == b"", "the end of the connection"
        assert time.monotonic() - started < 20


def test_half_closed_uploads_are_given_up(service):
    started = time.monotonic()
    send(service, HEAD.format("Content-Length: 1000").encode() + b"--b\r\n", close_writing=True)
    assert time.monotonic() - started < 10
    assert service.metric("cse_held_bytes") == 0
    assert service.post().status_code == 200


def test_work_for_a_client_that_left_is_stopped(service):
    body = b""
    fields = {"messages": b'["Hi"]', "target": b"slow:60"}
    for name, value in fields.items():
        body += b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value)
    body += (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="n"\r\n\r\n'
        + tones()
        + b"\r\n--b--\r\n"
    )
    gone = 'cse_errors_total{code="client_gone"}'
    before = service.metric(gone)
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(HEAD.format(f"Content-Length: {len(body)}").encode() + body)
        service.wait_for(lambda: service.metric('cse_workers_busy{role="extracting"}') == 1, limit_s=20)
    idle(service)
    assert service.metric(gone) == before + 1, "and not by the time limit"
    assert service.post().status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"--b\r\n\r\n\r\n--b--\r\n",
        b"--other\r\n",
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx',
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        b"--b" + b"-" * 1000,
        b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n' * 50 + b"--b--\r\n",
    ],
)
def test_damaged_forms_are_refused(service, data):
    head = HEAD.format(f"Content-Length: {len(data)}\r\nConnection: close").encode()
    answer = send(service, head + data)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"invalid_request" in answer


# ---- what stays


def test_nothing_that_people_say_or_write_is_logged(service):
    messages = f'[{{"speaker": "{SECRET}", "text": "{SECRET}"}}]'
    requests = [
        {"messages": messages, "target": SECRET},
        {"messages": messages, "target": "bug"},
        {"messages": messages, "target": "die"},
        {"messages": messages[:-3]},
        {"history": f"{SECRET}: {SECRET}\0"},
        {"history": SECRET, "file": SECRET.encode()},
        {"history": SECRET, SECRET: SECRET},
        {"history": SECRET, "response_format": SECRET},
    ]
    for fields in requests:
        service.post(**fields)
        service.wait_until_ready()
    job = service.post(
        "/v1/jobs", target="bug", messages=messages, headers={"Idempotency-Key": SECRET}
    ).json()
    service.wait_for(lambda: service.get(f"/v1/jobs/{job['id']}").json()["status"] == "failed", limit_s=20)
    service.get(f"/{SECRET}?{SECRET}")
    service.post(f"/v1/{SECRET}")
    log = "\n".join(service.log)
    assert "bug" not in log and "KeyError" in log  # a bug is logged, its words are not
    assert SECRET not in log
    assert "Traceback" not in log
