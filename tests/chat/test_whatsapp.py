"""WhatsApp exports of many countries: one message is meant by all of them."""

from __future__ import annotations

import io

import pytest

from cse.chat import whatsapp
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
    assert times("03/04/2024", clock="2:05 pm")[0] == "2024-04-03T14:05"


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
