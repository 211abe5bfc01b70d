"""WhatsApp exports of many countries: one message is meant by all of them."""

from __future__ import annotations

import io

import pytest

from cse.chat import build_context, open_chat_text, whatsapp
from cse.chat.message import ChatMessage
from cse.chat.source import TextFile

LRM, RLM, NNBSP, NBSP = "\u200e", "\u200f", "\u202f", "\u00a0"

ANDROID_NOTE = "PTT-20240301-WA0012.opus"
IOS_NOTE = "00000012-AUDIO-2024-03-01-14-06-33.opus"

# notice, words in two lines, omitted media, deleted message, voice note of an unsaved sender, a later day
CHATS = {
    "de_DE Android": f"""01.03.24, 14:05 - Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt. Tippe.
01.03.24, 14:05 - Ana López: Wo treffen wir uns?
Am Bahnhof?
01.03.24, 14:05 - Ana López: <Medien ausgeschlossen>
01.03.24, 14:05 - Ana López: Diese Nachricht wurde gelöscht.
01.03.24, 14:06 - ~{NNBSP}Ben: {LRM}{ANDROID_NOTE} (Datei angehängt)
13.03.24, 09:00 - Ana López: Gut
""",
    "de_DE iOS": f"""[01.03.24, 14:05:01] Ana López: {LRM}Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.\r
[01.03.24, 14:05:33] Ana López: Wo treffen wir uns?
Am Bahnhof?\r
{LRM}[01.03.24, 14:05:34] Ana López: {LRM}Bild weggelassen\r
[01.03.24, 14:05:35] Ana López: {LRM}Diese Nachricht wurde gelöscht.\r
{LRM}[01.03.24, 14:06:33] ~{NNBSP}Ben: {LRM}<Anhang: {IOS_NOTE}>\r
[13.03.24, 09:00:00] Ana López: Gut\r
""",
    "en_US Android": f"""3/1/24, 2:05{NNBSP}PM - Messages and calls are end-to-end encrypted. Tap to learn more.
3/1/24, 2:05{NNBSP}PM - Ana López: Wo treffen wir uns?
Am Bahnhof?
3/1/24, 2:05{NNBSP}PM - Ana López: <Media omitted>
3/1/24, 2:05{NNBSP}PM - Ana López: This message was deleted
3/1/24, 2:06{NNBSP}PM - ~{NNBSP}Ben: {ANDROID_NOTE} (file attached)
3/13/24, 9:00{NNBSP}AM - Ana López: Gut
""",
    "en_US iOS": f"""[3/1/24, 2:05:01{NNBSP}PM] Ana López: {LRM}Messages and calls are end-to-end encrypted.
[3/1/24, 2:05:33{NNBSP}PM] Ana López: Wo treffen wir uns?
Am Bahnhof?
[3/1/24, 2:05:34{NNBSP}PM] Ana López: {LRM}image omitted
[3/1/24, 2:05:35{NNBSP}PM] Ana López: {LRM}This message was deleted.
{LRM}[3/1/24, 2:06:33{NNBSP}PM] ~{NNBSP}Ben: {LRM}<attached: {IOS_NOTE}>
[3/13/24, 9:00:00{NNBSP}AM] Ana López: Gut
""",
    "en_GB Android": f"""01/03/2024, 14:05 - Messages and calls are end-to-end encrypted. Tap to learn more.
01/03/2024, 14:05 - Ana López: Wo treffen wir uns?
Am Bahnhof?
01/03/2024, 14:05 - Ana López: <Media omitted>
01/03/2024, 14:05 - Ana López: You deleted this message
01/03/2024, 14:06 - ~ Ben: {LRM}{ANDROID_NOTE} (file attached)
13/03/2024, 09:00 - Ana López: Gut
""",
    "es_ES Android": f"""1/3/24, 2:05{NBSP}p.{NBSP}m. - Mensajes y llamadas cifrados.
1/3/24, 2:05{NBSP}p.{NBSP}m. - Ana López: Wo treffen wir uns?
Am Bahnhof?
1/3/24, 2:05{NBSP}p.{NBSP}m. - Ana López: <Multimedia omitido>
1/3/24, 2:05{NBSP}p.{NBSP}m. - Ana López: Se eliminó este mensaje
1/3/24, 2:06{NBSP}p.{NBSP}m. - ~ Ben: {ANDROID_NOTE} (archivo adjunto)
13/3/24, 9:00{NBSP}a.{NBSP}m. - Ana López: Gut
""",
    "pt_BR Android": f"""01/03/2024 14:05 - As mensagens e as ligações são protegidas.
01/03/2024 14:05 - Ana López: Wo treffen wir uns?
Am Bahnhof?
01/03/2024 14:05 - Ana López: <Mídia oculta>
01/03/2024 14:05 - Ana López: Mensagem apagada
01/03/2024 14:06 - ~ Ben: {ANDROID_NOTE} (arquivo anexado)
13/03/2024 09:00 - Ana López: Gut
""",
    "hi_IN Android": f"""01/03/24, 2:05 अपराह्न - मैसेज और कॉल एंड-टू-एंड एन्क्रिप्टेड हैं।
01/03/24, 2:05 अपराह्न - Ana López: Wo treffen wir uns?
Am Bahnhof?
01/03/24, 2:05 अपराह्न - Ana López: <मीडिया के बिना>
01/03/24, 2:05 अपराह्न - Ana López: यह मैसेज मिटाया गया
01/03/24, 2:06 अपराह्न - ~ Ben: {ANDROID_NOTE} (फ़ाइल अटैच की गई)
13/03/24, 9:00 पूर्वाह्न - Ana López: Gut
""",
    "ar Android": f"""{RLM}١{RLM}/٣{RLM}/٢٠٢٤، ٢:٠٥ م - الرسائل والمكالمات مشفرة تماماً بين الطرفين.
{RLM}١{RLM}/٣{RLM}/٢٠٢٤، ٢:٠٥ م - Ana López: Wo treffen wir uns?
Am Bahnhof?
{RLM}١{RLM}/٣{RLM}/٢٠٢٤، ٢:٠٥ م - Ana López: <تم استبعاد الوسائط>
{RLM}١{RLM}/٣{RLM}/٢٠٢٤، ٢:٠٥ م - Ana López: تم حذف هذه الرسالة
{RLM}١{RLM}/٣{RLM}/٢٠٢٤، ٢:٠٦ م - ~ Ben: {RLM}{ANDROID_NOTE} (الملف مرفق)
{RLM}١٣{RLM}/٣{RLM}/٢٠٢٤، ٩:٠٠ ص - Ana López: Gut
""",
    "ja_JP iOS": f"""[2024/03/01 14:05:01] Ana López: {LRM}メッセージと通話はエンドツーエンドで暗号化されます。
[2024/03/01 14:05:33] Ana López: Wo treffen wir uns?
Am Bahnhof?
[2024/03/01 14:05:34] Ana López: {LRM}画像が除外されました
[2024/03/01 14:05:35] Ana López: {LRM}このメッセージは削除されました。
[2024/03/01 14:06:33] ~{NNBSP}Ben: {LRM}<添付ファイル: {IOS_NOTE}>
[2024/03/13 9:00:00] Ana López: Gut
""",
    "zh_CN iOS": f"""[2024/3/1 下午2:05:01] Ana López: {LRM}消息和通话已进行端到端加密。
[2024/3/1 下午2:05:33] Ana López: Wo treffen wir uns?
Am Bahnhof?
[2024/3/1 下午2:05:34] Ana López: {LRM}忽略图片
[2024/3/1 下午2:05:35] Ana López: {LRM}此消息已删除。
[2024/3/1 下午2:06:33] ~{NNBSP}Ben: {LRM}<附件：{IOS_NOTE}>
[2024/3/13 上午9:00:00] Ana López: Gut
""",
    "ko_KR Android": f"""2024년 3월 1일 오후 2:05 - 메시지와 통화는 종단간 암호화됩니다.
2024년 3월 1일 오후 2:05 - Ana López: Wo treffen wir uns?
Am Bahnhof?
2024년 3월 1일 오후 2:05 - Ana López: <미디어 파일을 제외한 메시지>
2024년 3월 1일 오후 2:05 - Ana López: 삭제된 메시지입니다
2024년 3월 1일 오후 2:06 - ~ Ben: {ANDROID_NOTE} (파일 첨부됨)
2024년 3월 13일 오전 9:00 - Ana López: Gut
""",
    "fi_FI Android": f"""1.3.2024 klo 14.05 - Viestit ja puhelut ovat täysin salattuja.
1.3.2024 klo 14.05 - Ana López: Wo treffen wir uns?
Am Bahnhof?
1.3.2024 klo 14.05 - Ana López: <Media jätetty pois>
1.3.2024 klo 14.05 - Ana López: {LRM}Tämä viesti poistettiin
1.3.2024 klo 14.06 - ~ Ben: {ANDROID_NOTE} (tiedosto liitetty)
13.3.2024 klo 9.00 - Ana López: Gut
""",
    "th_TH Android": f"""1/3/2567 14:05 - ข้อความและการโทรมีการเข้ารหัสจากต้นทางถึงปลายทาง
1/3/2567 14:05 - Ana López: Wo treffen wir uns?
Am Bahnhof?
1/3/2567 14:05 - Ana López: <ไม่รวมสื่อ>
1/3/2567 14:05 - Ana López: {LRM}ข้อความนี้ถูกลบ
1/3/2567 14:06 - ~ Ben: {ANDROID_NOTE} (ไฟล์ที่แนบมา)
13/3/2567 09:00 - Ana López: Gut
""",
}


def read(text: str) -> list[ChatMessage]:
    return list(whatsapp.read(TextFile(None, lambda: io.BytesIO(text.encode()))))


@pytest.mark.parametrize("chat", CHATS)
def test_the_same_chat_in_every_country(chat: str) -> None:
    assert whatsapp.claims(CHATS[chat])
    ios = "iOS" in chat
    notice, words, omitted, deleted, note, last = read(CHATS[chat])
    assert notice.kind == "system"
    assert words == ChatMessage(
        "Ana López", "Ana López", "Wo treffen wir uns?\nAm Bahnhof?", "2024-03-01T14:05" + ":33" * ios, id="2"
    )
    assert (omitted.spoken, deleted.spoken) == (False, False)
    assert (note.sender, note.kind, note.text) == ("Ben", "voice", "")
    assert note.attachment == (IOS_NOTE if ios else ANDROID_NOTE)
    assert note.time == "2024-03-01T14:06" + ":33" * ios
    assert (last.text, last.time) == ("Gut", "2024-03-13T09:00" + ":00" * ios)


def words_of(*lines: str) -> list[tuple[str | None, str]]:
    return [(message.sender, message.text) for message in read("\n".join(lines)) if message.spoken]


def test_a_line_that_looks_like_a_message_of_another_phone_is_words() -> None:
    text = words_of(
        "01.03.24, 14:05 - Ana: quoted:", "[01.03.24, 14:05:33] Ben: fake", "3/1/24, 2:05 PM - Ben: fake"
    )
    assert len(text) == 1


def test_ios_and_its_marks() -> None:
    start = "[01.03.24, 14:05:33] "
    assert words_of(
        f"{start}\u202a+49 170{NBSP}1234567\u202c: Hi",
        f"{start}Ana: Look ‎<attached: 00000014-PHOTO-2024-03-01-14-05-33.jpg>",
        f"{start}Ana: {LRM}menu.pdf • {LRM}2 pages {LRM}<attached: 00000015-menu.pdf>",
        f"{start}Ana: Changed {LRM}<Diese Nachricht wurde bearbeitet.>",
        f"{start}Ana: {LRM}Missed voice call, {LRM}Tap to call back",
        f"{start}Ana: {LRM}audio omitted",
        f"{start}Ana: a <b>",
        f"{start}Ana: ",
    ) == [("+49 170 1234567", "Hi"), ("Ana", "Look"), ("Ana", "Changed"), ("Ana", "a <b>")]
    assert read(f"{start}Ana: {LRM}audio omitted")[0].kind == "voice"


def test_android_and_its_system_lines() -> None:
    start = "01/03/2024, 14:05 - "
    assert words_of(
        f"{start}Ana added Ben",
        f'{start}Ana changed the subject to "Trip: Rome"',
        f"{start}Ana: IMG-20240301-WA0001.jpg (file attached)",
        "a caption",
        f"{start}Ana: report 2024.pdf (file attached)",
        f"{start}Ana: see notes.txt (the old one)",
        f"{start}Ana: location: https://maps.google.com/?q=1.0,2.0",
        f"{start}Ana: null",
        f"{start}Ana: corrected <This message was edited>",
        f"{start}Ana: at 12:30 - sharp: yes",
    ) == [
        ("Ana", "a caption"), ("Ana", "see notes.txt (the old one)"), ("Ana", "corrected"),
        ("Ana", "at 12:30 - sharp: yes"),
    ]  # fmt: skip


def test_copied_and_old_messages() -> None:
    assert words_of("[14:05, 01/03/2024] Ana: Hi", "[2:06, 01/03/2024] Ben: Ho") == [
        ("Ana", "Hi"),
        ("Ben", "Ho"),
    ]
    assert words_of("3/24/14, 1:59:59 PM: Ana: Hi") == [("Ana", "Hi")]


WEB = """Messages and calls are end-to-end encrypted. No one outside of this chat can read or listen to them.
Some earlier messages may not be available.
[10/3/24, 2:05:33 PM] Ana: Where shall we meet?
[10/3/24, 2:05:50 PM] - Ana changed the subject to: Rome
[10/3/24, 2:06:00 PM] You: [Forwarded] At the station
[10/3/24, 2:06:05 PM] You: [Forwarded many times] Good luck
[10/3/24, 2:06:10 PM] Ana: <voice message omitted>
[10/3/24, 2:06:20 PM] Ana: voice message (file attached)
[10/3/24, 2:06:25 PM] Ana: [Forwarded] voice message (file attached)
[10/3/24, 2:06:30 PM] Ana: PTT-20241003-WA0001.opus (file attached)
[10/3/24, 2:06:40 PM] Ana: map.jpg (file attached) this way
[10/3/24, 2:06:50 PM] Ana: <image omitted> or this one
[10/3/24, 2:06:51 PM] Ana: <Location omitted>
[10/3/24, 2:06:52 PM] Ana: Cafe: Location: 52.5, 13.4 - https://maps.google.com/?q=52.5,13.4
[10/3/24, 2:06:53 PM] Ana: GIF attached
[10/3/24, 2:06:54 PM] Ana: This message was deleted by an admin
[10/3/24, 2:06:55 PM] Ana: This message was deleted by admin Cleo
[10/3/24, 2:06:56 PM] You: You deleted this message as admin
[10/3/24, 2:06:57 PM] Ana: Waiting for this message. This may take a while.
"""


def test_whatsapp_web() -> None:
    assert whatsapp.claims(WEB)
    messages = read(WEB)
    assert [
        (m.sender, m.kind, m.text, m.attachment) for m in messages if m.kind not in ("system", "deleted")
    ] == [
        ("Ana", "text", "Where shall we meet?", None),
        ("You", "text", "At the station", None),
        ("You", "text", "Good luck", None),
        ("Ana", "voice", "", None),
        ("Ana", "voice", "", None),
        ("Ana", "voice", "", None),
        ("Ana", "voice", "", "PTT-20241003-WA0001.opus"),
        ("Ana", "image", "this way", "map.jpg"),
        ("Ana", "image", "or this one", None),
        ("Ana", "other", "", None),
        ("Ana", "other", "", None),
        ("Ana", "other", "", None),
    ]
    assert [m.kind for m in messages].count("deleted") == 3
    assert [m.id for m in messages if m.forwarded_from] == ["5", "6", "9"]
    assert messages[0].time == "2024-10-03T14:05:33"
    context = build_context(messages, at="2024-10-03T14:06:20")
    assert [turn.text for turn in context.turns] == ["Where shall we meet?", "At the station", "Good luck"]


A, B = "[01.03.24, 14:05:33] Ana: Where?", "[01.03.24, 14:06:33] Ben: Here"


@pytest.mark.parametrize(
    "lines",
    [
        ("and bring the tickets please", A, B),
        ("two lines", "of a message that began before", "", A, "goes on", "and on", B),
        ("Remember: bring the tickets", A, B, A),
        ("Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.", A),
    ],
)
def test_what_begins_inside_a_message(lines: tuple[str, ...]) -> None:
    export = open_chat_text("\n".join(lines))
    assert export.format == "whatsapp"
    assert [(m.sender, m.text.split("\n")[0]) for m in export.messages()][:2] in (
        [("Ana", "Where?"), ("Ben", "Here")], [("Ana", "Where?")],
    )  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        ("She wrote this yesterday", A),
        (
            "She wrote this yesterday",
            A,
            "and I do not know",
            "what to say.",
            "Do you?",
            "I thought so",
            "Well",
            B,
        ),
        ("Cleo: Look", A, "Dan: I see", B),
        ("Cleo: Look", "Dan: At what?", A, B),
        ("Cleo: Look", A, B),
        ("no chat", "at all"),
    ],
)
def test_plain_text_that_quotes_a_message_stays_plain_text(lines: tuple[str, ...]) -> None:
    export = open_chat_text("\n".join(lines))
    assert export.format == "text"
    assert len(list(export.messages())) == len(lines)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("This message was deleted by admin Ana.", "deleted"),
        ("Diese Nachricht wurde von Admin Ana gelöscht.", "deleted"),
        ("Un admin., Ana, eliminó este mensaje.", "deleted"),
        ("Mensagem apagada por um admin (Ana)", "deleted"),
        ("Mensagem apagada por um admin", "deleted"),
        ("Aguardando mensagem. Essa ação pode levar alguns instantes.", "system"),
        ("Esperando el mensaje. Esto puede tomar tiempo.", "system"),
        (f"{LRM}voice message omitted", "voice"),
        ("This message was deleted by accident, sorry", "text"),
        ("This message was deleted by admin " + "of the group, I think, " * 9, "text"),
        ("Missed voice call at 2:07 PM", "system"),
        ("Missed voice call at the worst of all times, sorry", "text"),
        ("Waiting for this message was a pain", "text"),
        ("Minutes (file attached)", "text"),
        ("[forwarded] to you", "text"),
    ],
)
def test_what_whatsapp_wrote_and_what_people_did(words: str, kind: str) -> None:
    (message,) = read(f"3/1/24, 2:05 PM - Ben: {words}")
    assert message.kind == kind
    assert message.spoken == (kind == "text")


def times(*dates: str, clock: str = "14:05") -> list[str | None]:
    return [message.time for message in read("\n".join(f"{date}, {clock} - Ana: x" for date in dates))]


def test_day_and_month_are_told_over_the_whole_file() -> None:
    assert times("3/4/24", "3/5/24", "3/13/24")[0] == "2024-03-04T14:05"
    assert times("3/4/24", "4/4/24", "13/4/24")[0] == "2024-04-03T14:05"
    # nothing but the order of time: as days first, it would run backwards
    assert times("3/9/24", "3/10/24", "4/2/24")[0] == "2024-03-09T14:05"
    assert times("9/3/24", "10/3/24", "2/4/24")[0] == "2024-03-09T14:05"
    assert times("3/4/24")[0] == "2024-04-03T14:05"
    assert times("3/4/24", clock="2:05 PM")[0] == "2024-03-04T14:05"
    assert times("10/3/24", clock="2:05 PM")[0] == "2024-10-03T14:05"
    assert times("03/04/2024", clock="2:05 pm")[0] == "2024-04-03T14:05"
    assert times("03/04/24", clock="2:05 PM")[0] == "2024-04-03T14:05"


@pytest.mark.parametrize("clock", ["2:05 pm", f"2:05{NBSP}p.{NBSP}m.", "2:05 p.m.", "2:05 μ.μ."])
def test_only_capital_letters_are_american(clock: str) -> None:
    assert times("1/3/24", "2/3/24", clock=clock) == ["2024-03-01T14:05", "2024-03-02T14:05"]


@pytest.mark.parametrize(
    ("headers", "days"),
    [
        (["24. 3. 15. 오후 2:05"], ["2024-03-15"]),
        (["24. 3. 15. 14:05"], ["2024-03-15"]),
        (["24. 3. 1. 오후 2:05"], ["2024-03-01"]),
        (["24년 3월 15일 오후 2:05"], ["2024-03-15"]),
        (["24/3/15, 下午2:05"], ["2024-03-15"]),
        (
            ["24/3/15, 14:05", "24/3/16, 14:05"],
            ["2024-03-15", "2024-03-16"],
        ),  # or a year would pass in between
        (["24-03-15, 14:05", "24-04-02, 14:05"], ["2024-03-15", "2024-04-02"]),
    ],
)
def test_years_of_two_digits_in_front(headers: list[str], days: list[str]) -> None:
    text = "\n".join(f"{header} - Ana: x" for header in headers)
    assert whatsapp.claims(text)
    assert [message.time for message in read(text)] == [f"{day}T14:05" for day in days]


def test_days_of_the_month_are_not_taken_for_years() -> None:
    assert times("15.03.24")[0] == "2024-03-15T14:05"
    assert times("15.03.24", "16.03.24", "12.04.24")[0] == "2024-03-15T14:05"
    assert times("15.04.23", "15.05.24")[0] == "2023-04-15T14:05"
    assert times("15. 3. 24", "16. 3. 24")[0] == "2024-03-15T14:05"


def test_noon_and_midnight() -> None:
    assert times("3/13/24", clock="12:05 AM") == ["2024-03-13T00:05"]
    assert times("3/13/24", clock="12:05 PM") == ["2024-03-13T12:05"]


def test_a_date_that_is_none() -> None:
    assert times("30/30/24") == [None]
    assert times("13/11/1402") == [None]  # of another calendar


def test_no_message_without_a_header() -> None:
    assert not whatsapp.claims("Ana: at 01.03.24, 14:05 - sharp")
    assert not whatsapp.claims("")
    assert read("Ana: hi") == []
