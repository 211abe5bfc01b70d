"""The WebSocket of a running service: a voice out of a stream, and what is refused by which code."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cse.testing.models import two_tones
from cse.testing.running_service import RunningService

pytest.importorskip("websockets", reason='needs: pip install "cse[service]"')
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

RATE = 16000
KEY = "a key of sixteen"
FIRST = {"messages": [{"speaker": "Ana", "text": "Secret words?"}], "sample_rate": RATE}
SETTINGS = {
    "max_streams": 2, "max_stream_s": 8.0, "stream_idle_s": 1.5, "max_message_mb": 0.25,
    "stop_grace_s": 0.5, "api_keys": [KEY],
}  # fmt: skip


@pytest.fixture(scope="module")
def shared(extra: None) -> Iterator[RunningService]:
    with RunningService(**SETTINGS) as service:
        yield service.wait_until_ready()


@pytest.fixture
def streaming(shared: RunningService) -> RunningService:
    """The shared service, without any stream."""
    shared.wait_for(lambda: open_streams(shared) == 0)
    return shared


def open_streams(service: RunningService) -> float:
    headers = {"Authorization": f"Bearer {KEY}"}
    lines = service.get("/metrics", headers=headers).text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith("cse_streams "))


def join(service: RunningService, path: str = "/v1/audio/stream", **options: Any) -> ClientConnection:
    headers = {"Authorization": f"Bearer {KEY}", **options.pop("headers", {})}
    url = f"ws{service.url.removeprefix('http')}{path}"
    return connect(url, additional_headers=headers, close_timeout=5, proxy=None, **options)


def pcm(samples: np.ndarray) -> bytes:
    return np.round(samples * 2**15).astype("<i2").tobytes()


def receive(client: ClientConnection) -> Any:
    message = client.recv(timeout=30)
    return json.loads(message) if isinstance(message, str) else message


def begin(client: ClientConnection, **more: Any) -> dict[str, Any]:
    client.send(json.dumps({**FIRST, **more}))
    ready: dict[str, Any] = receive(client)
    return ready


def everything(client: ClientConnection) -> tuple[bytes, list[dict[str, Any]], int]:
    """All that comes until the end: samples, events, and the close code."""
    samples, events = b"", []
    try:
        while True:
            message = receive(client)
            if isinstance(message, bytes):
                samples += message
            else:
                events.append(message)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return samples, events, closed.rcvd.code


def refusal(client: ClientConnection) -> tuple[str, int]:
    """The code of the error, and the close code."""
    _, events, close_code = everything(client)
    error = events[-1]
    assert error["type"] == "error" and set(error["error"]) == {"code", "message", "request_id"}
    assert "\n" not in error["error"]["message"] and "Secret" not in error["error"]["message"]
    return error["error"]["code"], close_code


def power(samples: np.ndarray, frequency_hz: float) -> float:
    time_s = np.arange(len(samples)) / RATE
    return float(2 * np.abs(np.mean(samples * np.exp(-2j * np.pi * frequency_hz * time_s))) ** 2)


@pytest.mark.parametrize("before_choice", ["silence", "mixture"])
def test_the_voice_comes_back_chunk_by_chunk(streaming, before_choice):
    with join(streaming) as client:
        ready = begin(client, before_choice=before_choice, history_format="auto")
        assert ready == {
            "type": "ready", "model": "told", "context_turns": 1, "latency_s": 1.4999,
            "sample_rate": RATE, "format": "pcm_s16le",
        }  # fmt: skip
        for part in np.split(two_tones(6.0), 60):
            client.send(pcm(part))
        client.send('{"type": "end"}')
        samples, events, close_code = everything(client)
    assert close_code == 1000
    choice, end = events
    assert choice["type"] == "choice" and choice["index"] == 1 and choice["time_s"] == 2.0
    assert choice["probability"] == pytest.approx(0.855)
    assert end["type"] == "end" and end["duration_s"] == 6.0
    assert end["choice"] == {name: value for name, value in choice.items() if name != "type"}
    voice = np.frombuffer(samples, "<i2") / 2**15
    assert voice.shape == (6 * RATE,)
    before, after = voice[: 2 * RATE], voice[2 * RATE + 400 :]
    assert power(after, 2500) == pytest.approx(0.02, rel=0.05) and power(after, 300) < 1e-4
    assert power(before, 300) == pytest.approx(0.02 if before_choice == "mixture" else 0.0, abs=1e-3)


def test_samples_come_back_while_others_go_in(streaming):
    with join(streaming) as client:
        begin(client)
        client.send(pcm(two_tones(2.0)))
        first = receive(client)
        assert isinstance(first, bytes) and len(first) == RATE  # half a second of the first
        client.send(pcm(two_tones(0.25)))
        client.send(pcm(two_tones(0.75)))
        assert isinstance(receive(client), bytes)


def test_two_streams_at_once_keep_apart_and_a_third_is_turned_away(streaming):
    with join(streaming) as one, join(streaming) as other:
        begin(one), begin(other)
        assert open_streams(streaming) == 2
        with pytest.raises(InvalidStatus) as caught:
            join(streaming)
        assert caught.value.response.status_code == 503
        assert int(caught.value.response.headers["Retry-After"]) > 0
        assert json.loads(caught.value.response.body)["error"]["code"] == "busy"
        for part in np.split(two_tones(3.0), 6):
            one.send(pcm(part))
            other.send(pcm(np.zeros_like(part)))
        results = []
        for client in (one, other):
            client.send('{"type": "end"}')
            results.append(everything(client))
    assert [event["type"] for event in results[0][1]] == ["choice", "end"]
    assert [event["type"] for event in results[1][1]] == ["end"]
    assert len(results[1][0]) == 6 * RATE and not any(results[1][0])


def test_a_chat_that_is_slow_to_read_stops_no_other_stream(streaming):
    (reader,) = streaming.workers("reading")
    with join(streaming) as one, join(streaming) as other:
        begin(one)
        os.kill(reader, signal.SIGSTOP)
        try:
            other.send(json.dumps(FIRST))
            for _ in range(4):
                one.send(pcm(two_tones(1.0)))
                assert isinstance(receive(one), bytes | dict)
            with pytest.raises(TimeoutError):
                other.recv(timeout=0)
        finally:
            os.kill(reader, signal.SIGCONT)
        assert receive(other)["type"] == "ready"


def test_who_speaks_can_be_told_by_the_chat(streaming):
    with join(streaming) as client:
        assert begin(client, target="Ana  Maria")["context_turns"] == 1


@pytest.mark.parametrize("abruptly", [True, False])
def test_a_client_that_goes_away_frees_its_place(streaming, abruptly):
    clients = [join(streaming) for _ in range(2)]
    for client in clients:
        begin(client)
        client.send(pcm(two_tones(2.0)))
        if abruptly:  # a reset, without any goodbye
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.close()
        else:
            client.close()
    streaming.wait_for(lambda: open_streams(streaming) == 0, limit_s=20)
    with join(streaming) as client:
        assert begin(client)["type"] == "ready"


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (b"\x00\x00", "invalid_request"),
        ("Ana: Secret", "invalid_request"),
        ("[" * 5000, "invalid_request"),
        ("[]", "invalid_request"),
        ({"sample_rate": RATE}, "missing_cue"),
        ({**FIRST, "surprise": "Secret"}, "invalid_request"),
        ({**FIRST, "history": "Ana: Secret"}, "invalid_request"),
        ({**FIRST, "sample_rate": "16000"}, "invalid_request"),
        ({**FIRST, "sample_rate": 100}, "invalid_request"),
        ({"messages": []}, "invalid_request"),
        ({**FIRST, "format": "opus"}, "invalid_request"),
        ({**FIRST, "format": ["pcm_s16le"]}, "invalid_request"),
        ({**FIRST, "before_choice": "x"}, "invalid_request"),
        ({**FIRST, "target": 7}, "invalid_request"),
        ({**FIRST, "messages": [{"words": "Secret"}]}, "invalid_history"),
        ({"history": 7, "sample_rate": RATE}, "invalid_request"),
        ({"history": "Ana: Secret", "history_format": "telegram", "sample_rate": RATE}, "invalid_history"),
        ({"history": "Ana: Secret", "history_format": "x", "sample_rate": RATE}, "invalid_request"),
    ],
)
def test_a_bad_first_frame_has_a_code(streaming, first, code):
    with join(streaming) as client:
        client.send(first if isinstance(first, str | bytes) else json.dumps(first))
        assert refusal(client) == (code, 4422 if code in ("invalid_history", "missing_cue") else 4400)


@pytest.mark.parametrize("frame", [b"\x00\x00\x00", '{"type": "start"}', "x"])
def test_bad_frames_later_have_a_code(streaming, frame):
    with join(streaming) as client:
        begin(client)
        client.send(frame)
        assert refusal(client) == ("invalid_request", 4400)


def test_a_stream_that_is_too_long_ends(streaming):
    with join(streaming) as client:
        begin(client)
        for _ in range(5):
            client.send(pcm(two_tones(2.0)))
        assert refusal(client) == ("audio_too_long", 4413)


def test_a_message_that_is_too_long_ends_the_stream(streaming):
    with join(streaming) as client:
        begin(client)
        client.send(b"\x00" * 300_000)
        assert everything(client)[2] == 1009


@pytest.mark.parametrize("started", [True, False])
def test_a_client_that_says_nothing_is_let_go(streaming, started):
    with join(streaming) as client:
        if started:
            begin(client)
        began = time.monotonic()
        assert refusal(client) == ("upload_timeout", 4408)
        assert 1.0 < time.monotonic() - began < 10


@pytest.mark.parametrize("key", ["", "Bearer another key of it", KEY])
def test_without_a_valid_key_there_is_no_handshake(streaming, key):
    with pytest.raises(InvalidStatus) as caught:
        join(streaming, headers={"Authorization": key})
    response = caught.value.response
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert json.loads(response.body)["error"]["code"] == "unauthorized"


@pytest.mark.parametrize("path", ["/v1/nowhere", "/", "/page/index.html", "/v1/audio/extractions"])
def test_there_is_no_other_websocket(streaming, path):
    with pytest.raises(InvalidStatus) as caught:
        join(streaming, path)
    assert caught.value.response.status_code == 404


def test_when_the_process_dies_its_streams_end_and_others_can_begin(streaming):
    with join(streaming) as client:
        begin(client)
        header = {"Authorization": f"Bearer {KEY}"}
        # of the two that have loaded a model, one serves streams: the service says how often each was replaced
        for pid in streaming.workers("extracting"):
            os.kill(pid, signal.SIGKILL)
        client.send(pcm(two_tones(1.0)))
        assert refusal(client) == ("worker_died", 4500)
    streaming.wait_for(lambda: len(streaming.workers("extracting")) == 2)
    streaming.wait_for(lambda: streaming.get("/readyz").status_code == 200)

    def begins() -> bool:
        try:
            with join(streaming) as client:
                return begin(client)["type"] == "ready"
        except InvalidStatus:
            return False

    streaming.wait_for(begins)
    assert 'restarts_total{role="streaming"} 1.0' in streaming.get("/metrics", headers=header).text


def test_nothing_of_the_words_is_in_the_log(streaming):
    with join(streaming) as client:
        begin(client, target="Secret name")
        client.send(pcm(two_tones(0.5)))
        client.send('{"type": "end"}')
        everything(client)
    streaming.wait_for(lambda: any("/v1/audio/stream - " in line for line in streaming.log))
    assert not any("Secret" in line or "Traceback" in line or KEY in line for line in streaming.log)


def test_openapi_describes_it(streaming):
    description = streaming.get("/openapi.json").json()["info"]["description"]
    assert "/v1/audio/stream" in description and '{"type": "end"}' in description


def test_it_is_off_where_nobody_asked_for_it(service):
    with pytest.raises(InvalidStatus) as caught:
        join(service)
    assert caught.value.response.status_code == 404


def test_pages_of_others_are_kept_out_and_what_runs_goes_on_at_the_end(extra):
    with RunningService(max_streams=1) as service:
        service.wait_until_ready()
        with pytest.raises(InvalidStatus) as caught:
            join(service, origin="http://elsewhere.example")
        assert caught.value.response.status_code == 403
        with join(service, origin=service.url) as client:
            begin(client)
            service.terminate()
            service.wait_for(lambda: any("shutting down" in line for line in service.log))
            with pytest.raises(InvalidStatus) as caught:
                join(service)
            assert caught.value.response.status_code == 503
            client.send(pcm(two_tones(1.0)))
            client.send('{"type": "end"}')
            samples, events, close_code = everything(client)
            assert (len(samples), events[-1]["type"], close_code) == (2 * RATE, "end", 1000)
        assert service.wait(30) == 0
