"""ZIPs: those that phones make, and those that want something else."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import pytest

from cse.chat import limits, open_chat, open_chat_text, parse_history, read_context
from cse.errors import HistoryError

CHAT = "[01.03.24, 14:05:33] Ana: Where?\n[01.03.24, 14:06:33] Ben: \u200e<attached: 0012-AUDIO-1.opus>\n"
ANDROID = "01.03.24, 14:05 - Ana: Where?\n"


def packed(files: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_whatsapp_of_ios_with_its_media(tmp_path: Path) -> None:
    path = tmp_path / "WhatsApp Chat - Ana.zip"
    path.write_bytes(
        packed({"0012-AUDIO-1.opus": b"OggS\0", "0013-notes.txt": "[not] a chat", "_chat.txt": CHAT})
    )
    context = read_context(path, audio="0012-AUDIO-1.opus")
    assert [turn.text for turn in context.turns] == ["Where?"]
    assert context.target == "Ben"
    assert open_chat(path).format == "whatsapp"


def test_whatsapp_of_android_and_other_texts() -> None:
    data = packed(
        {"a.txt": "shopping list", "WhatsApp Chat with Ana.txt": ANDROID, "__MACOSX/._x.txt": b"\0"}
    )
    assert [turn.text for turn in parse_history(data)] == ["Where?"]


def test_whatsapp_web_with_its_notices() -> None:
    chat = "Messages and calls are end-to-end encrypted. No one else can read them.\n[3/1/24, 2:05:33 PM] Ana: Where?\n"
    data = packed(
        {"chat.md": "# WhatsApp", "chat.txt": chat, "media/a.txt": ANDROID, "media/PTT-1.opus": b"OggS\0"}
    )
    assert open_chat_text(data).format == "whatsapp"
    assert [(turn.text, turn.time) for turn in parse_history(data)] == [("Where?", "2024-03-01T14:05:33")]


def test_slack_with_its_people() -> None:
    def message(user: str, text: str, second: int) -> dict[str, str]:
        return {"type": "message", "user": user, "text": text, "ts": f"17093019{second}.0"}

    users = [{"id": "U1", "profile": {"display_name": "ana"}}, {"id": "U2", "name": "ben", "profile": {}}, 5]
    data = packed(
        {
            "users.json": json.dumps(users),
            "channels.json": "[]",
            "general/2024-03-02.json": json.dumps([message("U2", "b <@U1>", 44)]),
            "general/2024-03-01.json": json.dumps([message("U1", "a", 33)]),
            "random/2024-03-01.json": "[]",
        }
    )
    export = open_chat_text(data)
    assert export.format == "slack"
    assert [(m.sender, m.text, m.chat) for m in export.messages()] == [
        ("ana", "a", "general"), ("ben", "b @ana", "general")
    ]  # fmt: skip
    broken = packed({"general/2024-03-01.json": "[\n{]"})
    with pytest.raises(HistoryError, match=r"general/2024-03-01\.json: line 2"):
        parse_history(broken)


def test_one_file_of_any_format() -> None:
    data = packed({"export/result.json": json.dumps([{"role": "user", "content": "a"}])})
    assert [turn.text for turn in parse_history(data)] == ["a"]


@pytest.mark.parametrize(
    "name",
    ["../_chat.txt", "/etc/_chat.txt", "a/../../_chat.txt", "..\\_chat.txt", "C:/_chat.txt", "\\_chat.txt"],
)
def test_paths_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(HistoryError, match="a path that leads out of it"):
        parse_history(packed({name: CHAT}))


def test_links() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("_chat.txt")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(HistoryError, match="a path that leads out of it"):
        parse_history(buffer.getvalue())


def test_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed({"_chat.txt": CHAT + "x" * (11 * 2**20)})
    with pytest.raises(HistoryError, match="unpacks to 11 MB out of 0.0 MB"):
        parse_history(bomb)
    # several that are harmless each
    many = packed({f"{number}.txt": "x" * (4 * 2**20) for number in range(3)})
    with pytest.raises(HistoryError, match="unpacks to 12 MB"):
        parse_history(many)
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 1000)
    with pytest.raises(HistoryError, match="unpacks to"):
        parse_history(packed({"_chat.txt": CHAT * 20}))


def test_a_member_that_claims_to_be_small() -> None:
    """The size in the list of members is what is read, whatever is packed."""
    data = packed({"_chat.txt": CHAT + "y" * 100_000})
    size = len(CHAT.encode()) + 100_000
    lied = data.replace(struct.pack("<L", size), struct.pack("<L", 20))
    with pytest.raises(HistoryError, match="damaged"):
        parse_history(lied)


def test_too_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MEMBERS", 3)
    with pytest.raises(HistoryError, match="got a ZIP of 4 files, expected at most 3"):
        parse_history(packed({f"{number}.jpg": b"" for number in range(4)}))


def test_encrypted() -> None:
    data = bytearray(packed({"_chat.txt": CHAT}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(HistoryError, match="got an encrypted ZIP"):
        parse_history(bytes(data))


@pytest.mark.parametrize(
    ("method", "name"), [(zipfile.ZIP_LZMA, "LZMA"), (zipfile.ZIP_BZIP2, "bzip2"), (99, "an unknown method")]
)
def test_packed_otherwise_than_phones_do(method: int, name: str) -> None:
    """`zipfile` unpacks all of what it has read by these methods, however little of it is wanted."""
    data = bytearray(packed({"_chat.txt": CHAT}))
    data[8] = data[data.index(b"PK\x01\x02") + 10] = method
    with pytest.raises(HistoryError, match=f"got a ZIP packed by {name}, expected deflate"):
        parse_history(bytes(data))


def test_a_second_list_of_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one reader takes for the end of the ZIP is harmless, what another one takes is not."""
    monkeypatch.setattr(limits, "MAX_MEMBERS", 3)
    data = packed({f"{number}.jpg": b"" for number in range(2)})
    end = data.rindex(b"PK\x05\x06")
    start = data.index(b"PK\x01\x02")

    def record(members: int) -> bytes:
        return struct.pack(
            "<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, members, members, end - start, start
        )

    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    for pointed_at, before in ((2, 4), (4, 2)):
        twice = data[:end] + record(pointed_at) + record(before) + locator + data[end:]
        with pytest.raises(HistoryError, match="got a ZIP of 4 files, expected at most 3"):
            parse_history(twice)


def test_damage_anywhere_is_a_history_error() -> None:
    data = packed({"_chat.txt": CHAT * 50, "photo.jpg": b"x"})
    for position in range(0, len(data), 3):
        for damaged in (data[:position], data[:position] + b"\xa5" + data[position + 1 :]):
            try:
                parse_history(damaged)
            except HistoryError as error:
                assert "Where" not in str(error)


def test_no_chat_inside() -> None:
    with pytest.raises(HistoryError, match="got a ZIP with 2 texts and none of WhatsApp"):
        parse_history(packed({"a.txt": "a", "b.txt": "b"}))
    with pytest.raises(HistoryError, match="got a ZIP with 0 texts"):
        parse_history(packed({"a.jpg": b"a"}))
