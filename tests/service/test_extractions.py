"""POST /v1/audio/extractions against a real server: what comes back, and what is refused by which code."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import soundfile

from cse.testing.running_service import tones

RATE = 16000
# `note.wav` is what the test's recording is called
WHATSAPP = (
    "[01.03.24, 14:05:33] Ana: Where?\n[01.03.24, 14:06:01] Ben: \u200e<attached: note.wav>\n"
    "[01.03.24, 14:07:00] Ana: Ah, there.\n[01.03.24, 14:08:00] Ben: Yes.\n"
)


def spectrum_peak_hz(audio: bytes) -> float:
    samples, rate = soundfile.read(io.BytesIO(audio))
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples))


def code(response):
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "request_id"}
    assert "\n" not in body["error"]["message"]
    assert body["error"]["request_id"] == response.headers["x-request-id"]
    return body["error"]["code"]


def test_json_holds_the_voice_and_everything_that_led_to_it(service):
    response = service.post(headers={"X-Request-Id": "mine-1"})
    assert response.status_code == 200, response.text
    assert response.headers["x-request-id"] == "mine-1"
    found = response.json()
    assert found["talkers"] == 2 and found["target_present"] and found["context_turns"] == 1
    assert found["probability"] == pytest.approx(found["candidates"][1]["probability"])
    assert found["audio"]["format"] == "ogg"
    assert "audio" not in found["candidates"][0]
    assert spectrum_peak_hz(base64.b64decode(found["audio"]["data"])) == pytest.approx(2500, abs=5)


def test_all_talkers_can_be_heard(service):
    found = service.post(candidate_audio="true", audio_format="wav").json()
    peaks = [spectrum_peak_hz(base64.b64decode(one["audio"]["data"])) for one in found["candidates"]]
    assert peaks == pytest.approx([300, 2500], abs=5)


@pytest.mark.parametrize("wanted", ["ogg", "wav"])
def test_audio_comes_with_what_was_found_in_headers(service, wanted):
    response = service.post(file=tones(suffix=".ogg"), response_format=wanted)
    assert response.headers["content-type"] == f"audio/{wanted}"
    assert spectrum_peak_hz(response.content) == pytest.approx(2500, abs=5)
    assert float(response.headers["x-cse-probability"]) > 0.8
    assert response.headers["x-cse-abstained"] == "false"
    if wanted == "wav":
        assert len(soundfile.read(io.BytesIO(response.content))[0]) == RATE


@pytest.mark.parametrize(
    ("fields", "turns"),
    [
        ({"history": "Ana: Hi\nBen: Hello"}, 2),
        ({"history": b"Ana: Hi\nBen: Hello"}, 2),
        ({"history": '["Hi"]', "history_format": "turns"}, 1),
        ({"history": WHATSAPP.encode(), "history_format": "whatsapp"}, 1),
        ({"history": WHATSAPP, "at": "2024-03-01T14:09"}, 3),
        ({"messages": '[{"role": "system", "content": "x"}, {"role": "user", "content": "Hi"}]'}, 1),
        ({"enrollment": tones(0.5, sample_rate=8000)}, 0),
        ({"history": "Ana: Hi", "enrollment": tones(0.5)}, 1),
    ],
)
def test_the_conversation_and_the_voice_arrive(service, fields, turns):
    response = service.post(**fields)
    assert response.status_code == 200, response.text
    assert response.json()["context_turns"] == turns


@pytest.mark.parametrize(
    ("fields", "status", "expected"),
    [
        ({"file": b""}, 400, "invalid_request"),
        ({"response_format": "mp3"}, 400, "invalid_request"),
        ({"on_absent": "x"}, 400, "invalid_request"),
        ({"history": "Ana: Hi", "history_format": "x"}, 400, "invalid_request"),
        ({"history": "Ana: Hi", "messages": "[]"}, 400, "invalid_request"),
        ({"surprise": "x"}, 400, "invalid_request"),
        ({"target": "x" * 300}, 400, "invalid_request"),
        ({"messages": None}, 422, "missing_cue"),
        ({"messages": "Ana: Hi"}, 422, "invalid_history"),
        ({"messages": WHATSAPP}, 422, "invalid_history"),
        ({"history": WHATSAPP, "history_format": "telegram"}, 422, "invalid_history"),
        ({"history": WHATSAPP, "at": "other.opus"}, 422, "invalid_history"),
        ({"messages": '[{"words": "Hi"}]'}, 422, "invalid_history"),
        ({"history": b"\xff\x00\xff"}, 422, "invalid_history"),
        ({"file": b"no audio at all"}, 422, "invalid_audio"),
        ({"file": tones()[:44]}, 422, "invalid_audio"),
        ({"enrollment": b"no audio at all"}, 422, "invalid_audio"),
        ({"file": tones(30, suffix=".ogg")}, 413, "audio_too_long"),
        ({"enrollment": tones(6, suffix=".ogg")}, 413, "audio_too_long"),
        ({"target": "silent"}, 422, "target_absent"),
        ({"target": "bug"}, 500, "internal"),
    ],
)
def test_what_cannot_be_done_has_a_code(service, fields, status, expected):
    response = service.post(**fields)
    assert (response.status_code, code(response)) == (status, expected)


def test_an_absent_target_is_what_was_asked_for(service):
    silent = service.post(target="silent", on_absent="silence", response_format="wav")
    assert silent.headers["x-cse-target-present"] == "false"
    assert not soundfile.read(io.BytesIO(silent.content))[0].any()
    same = service.post(target="silent", on_absent="passthrough", response_format="wav")
    assert spectrum_peak_hz(same.content) == pytest.approx(300, abs=5)


def test_a_body_that_is_no_form_is_refused(service):
    import requests

    url = f"{service.url}/v1/audio/extractions"
    for headers in ({"content-type": "application/json"}, {"content-type": "multipart/form-data"}, {}):
        response = requests.post(url, data=b'{"file": 1}', headers=headers, timeout=30)
        assert (response.status_code, code(response)) == (400, "invalid_request")


def test_routes_that_are_not_there(service):
    assert code(service.get("/v1/nowhere")) == "not_found"
    assert code(service.get("/v1/audio/extractions")) == "method_not_allowed"


def test_operations(service):
    assert service.get("/healthz").json() == {"status": "alive"}
    assert service.get("/readyz").json() == {"status": "ready"}
    (model,) = service.get("/v1/models").json()["data"]
    model.pop("on_device", None)  # where somebody exported one
    assert model == {"id": "told", "object": "model", "talkers": 2, "sample_rate": RATE}
    before = service.metric("cse_audio_seconds_total")
    service.post(file=tones(2.0))
    assert service.metric("cse_audio_seconds_total") == pytest.approx(before + 2.0)
    assert service.metric("cse_held_bytes") == 0


def test_openapi_shows_forms_examples_and_errors(service):
    schema = service.get("/openapi.json").json()
    route = schema["paths"]["/v1/audio/extractions"]["post"]
    form = route["requestBody"]["content"]["multipart/form-data"]
    assert {"file", "messages", "history", "enrollment", "target"} <= set(form["schema"]["properties"])
    assert json.loads(form["examples"]["chat"]["value"]["messages"])
    assert {"200", "400", "401", "413", "422", "500", "503", "504"} <= set(route["responses"])
    assert "target_absent" in route["responses"]["422"]["description"]
    assert "HTTPBearer" in schema["components"]["securitySchemes"]
