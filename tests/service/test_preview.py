"""POST /v1/messages/preview against a real server: what is understood of a conversation, and what is refused."""

from __future__ import annotations

import json

import pytest
import requests

from cse.testing.running_service import tones

WHATSAPP = (
    "[01.03.24, 14:05:33] Ana: Where?\n[01.03.24, 14:05:40] Ben added Cem\n"
    "[01.03.24, 14:06:01] Ben: \u200e<attached: PTT-1.opus>\n[01.03.24, 14:07:00] Ana: Ah, there.\n"
    "[01.03.24, 14:08:00] Ben: \u200e<attached: PTT-2.opus>\n"
)
TWO_CHATS = json.dumps(
    {
        "chats": {
            "list": [
                {
                    "name": name,
                    "id": number,
                    "messages": [
                        {
                            "id": 1,
                            "type": "message",
                            "date": "2024-03-01T14:00:00",
                            "from": name,
                            "text": words,
                        }
                    ],
                }
                for number, (name, words) in enumerate([("Ana", "Hi"), ("Ben", "Hello")], start=1)
            ]
        }
    }
)


def preview(service, headers=None, **fields):
    form = {name: (None, value) for name, value in fields.items()}
    return requests.post(f"{service.url}/v1/messages/preview", files=form, headers=headers, timeout=60)


def words(response):
    assert response.status_code == 200, response.text
    return [(turn["speaker"], turn["text"]) for turn in response.json()["context"]["turns"]]


def code(response):
    assert set(response.json()["error"]) == {"code", "message", "request_id"}
    return response.json()["error"]["code"]


def test_an_export_is_shown_as_it_is_understood(service):
    response = preview(service, history=WHATSAPP, file_name="folder/ptt-1.wav")
    assert words(response) == [("Ana", "Where?")]
    found = response.json()
    assert found["format"] == "whatsapp"
    assert found["context"]["dropped"] == {"system": 1, "after the note": 2}
    assert found["context"]["target"] == "Ben"
    assert [note["attachment"] for note in found["chats"][0]["voice_notes"]] == ["PTT-1.opus", "PTT-2.opus"]


def test_another_note_of_the_chat_can_be_named(service):
    note = preview(service, history=WHATSAPP).json()["chats"][0]["voice_notes"][1]
    assert words(preview(service, history=WHATSAPP, at=note["id"])) == [
        ("Ana", "Where?"),
        ("Ana", "Ah, there."),
    ]


@pytest.mark.parametrize("field", ["at", "file_name"])
def test_blanks_inside_the_name_of_a_file_count(service, field):
    chat = WHATSAPP.replace("PTT-1.opus", "my  note.opus").replace("PTT-2.opus", "my note.opus")
    assert words(preview(service, history=chat, **{field: " my  note.opus "})) == [("Ana", "Where?")]


def test_blanks_inside_the_name_of_a_chat_count(service):
    chats = TWO_CHATS.replace('"name": "Ben"', '"name": "Ben  and Cem"')
    assert words(preview(service, history=chats, chat="Ben  and Cem")) == [("Ben", "Hello")]


def test_an_export_of_several_chats_is_asked_for_one(service):
    everything = preview(service, history=TWO_CHATS).json()
    assert everything["context"] is None
    assert [chat["name"] for chat in everything["chats"]] == ["Ana", "Ben"]
    assert words(preview(service, history=TWO_CHATS, chat=everything["chats"][1]["id"])) == [("Ben", "Hello")]


def test_what_is_understood_is_what_an_extraction_takes(service):
    turns = preview(service, history=WHATSAPP, at="PTT-2.opus").json()["context"]["turns"]
    found = service.post(messages=json.dumps(turns)).json()
    assert found["context_turns"] == len(turns) == 2


def test_messages_are_read_too_and_half_characters_do_no_harm(service):
    assert words(preview(service, messages='[{"role": "user", "content": "Hi"}]')) == [("user", "Hi")]
    assert preview(service, messages='[{"speaker": "\\ud800", "text": "Hi"}]').status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "expected"),
    [
        ({}, 400, "invalid_request"),
        ({"history": "Ana: Hi", "messages": "[]"}, 400, "invalid_request"),
        ({"history": "Ana: Hi", "history_format": "x"}, 400, "invalid_request"),
        ({"history": "Ana: Hi", "target": "Ana"}, 400, "invalid_request"),
        ({"history": "Ana: Hi", "chat": "x" * 300}, 400, "invalid_request"),
        ({"messages": "Ana: Hi"}, 422, "invalid_history"),
        ({"history": WHATSAPP, "history_format": "telegram"}, 422, "invalid_history"),
        ({"history": WHATSAPP, "at": "other.opus"}, 422, "invalid_history"),
        ({"history": TWO_CHATS, "chat": "Cem"}, 422, "invalid_history"),
        ({"history": b"\xff\x00\xff"}, 422, "invalid_history"),
        ({"history": "Ana: Hi\n" * 300_000}, 413, "body_too_large"),
    ],
)
def test_what_cannot_be_shown_has_a_code(service, fields, status, expected):
    response = preview(service, **fields)
    assert (response.status_code, code(response)) == (status, expected)


def test_words_are_not_in_the_log(service):
    preview(service, history="Ana: xyzzy-preview", history_format="telegram")
    assert "xyzzy" not in "\n".join(service.log)


def test_other_pages_may_not_look(service):
    assert (
        code(preview(service, headers={"Origin": "http://elsewhere.example"}, history="Ana: Hi"))
        == "forbidden"
    )


def test_it_is_in_the_openapi_schema(service):
    route = service.get("/openapi.json").json()["paths"]["/v1/messages/preview"]["post"]
    form = route["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {"messages", "history", "history_format", "at", "chat", "file_name"}
    assert {"200", "400", "401", "413", "422", "500", "503"} <= set(route["responses"])


def test_a_preview_waits_for_no_extraction(service):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(service.post, target="slow:2", file=tones())
        service.wait_for(lambda: service.metric('cse_workers_busy{role="extracting"}') == 1, limit_s=20)
        assert words(preview(service, history="Ana: Hi")) == [("Ana", "Hi")]
        assert not slow.done()
        assert slow.result().status_code == 200
