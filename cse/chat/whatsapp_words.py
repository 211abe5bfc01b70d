"""What WhatsApp itself writes in place of a message, where nothing but the words shows it.

iOS puts U+200E in front of all of it; Android and chats that went through an editor do not. Attachments and omitted
media need no words: their file names and angle brackets tell.
"""

from __future__ import annotations

from collections.abc import Mapping

from cse.chat.message import Kind

# whole messages in small letters, without the full stop at the end
DELETED = frozenset(
    {
        "this message was deleted", "you deleted this message", "diese nachricht wurde gelöscht",
        "du hast diese nachricht gelöscht", "se eliminó este mensaje", "este mensaje fue eliminado",
        "eliminaste este mensaje", "mensagem apagada", "esta mensagem foi apagada", "você apagou esta mensagem",
        "ce message a été supprimé", "vous avez supprimé ce message", "questo messaggio è stato eliminato",
        "hai eliminato questo messaggio", "dit bericht is verwijderd", "u hebt dit bericht verwijderd",
        "यह मैसेज मिटाया गया", "यह मैसेज डिलीट किया गया", "आपने यह मैसेज मिटाया", "आपने यह मैसेज डिलीट किया",
        "تم حذف هذه الرسالة", "حذفت هذه الرسالة", "このメッセージは削除されました",
        "メッセージを削除しました", "此消息已删除", "您已删除此消息", "你已删除此消息", "這則訊息已刪除",
        "삭제된 메시지입니다",
        "данное сообщение удалено", "вы удалили данное сообщение", "bu mesaj silindi", "bu mesajı sildiniz",
        "this message was deleted by an admin", "you deleted this message as admin", "essa mensagem foi apagada",
        "mensagem apagada por um admin", "un admin. eliminó este mensaje", "pesan ini telah dihapus",
        "diese nachricht wurde von einem*einer admin gelöscht", "消息已删除", "信息已删除", "הודעה זו נמחקה",
        "pesan ini dihapus", "anda menghapus pesan ini", "usunięto tę wiadomość",
    }
)  # fmt: skip

# the same with an administrator's name in it: what stands in front of the name, and behind it
DELETED_BY = (
    ("this message was deleted by admin ", ""),
    ("diese nachricht wurde von admin ", " gelöscht"),
    ("un admin., ", ", eliminó este mensaje"),
    ("mensagem apagada por um admin (", ")"),
)

# the same for calls and what waits for its key
NOTICES = frozenset(
    {
        "null", "missed voice call", "missed video call", "waiting for this message", "verpasster sprachanruf",
        "waiting for this message. this may take a while", "esperando el mensaje. esto puede tomar tiempo",
        "aguardando mensagem. essa ação pode levar alguns instantes",
        "verpasster videoanruf", "llamada perdida", "videollamada perdida", "chamada de voz perdida",
        "chamada de vídeo perdida", "appel vocal manqué", "appel vidéo manqué", "chiamata persa",
        "मिस्ड वॉइस कॉल", "مكالمة صوتية فائتة", "不在着信", "未接语音通话", "未接视频通话",
    }
)  # fmt: skip

# and how notices begin that go on with a time
MISSED = ("missed voice call at ", "missed video call at ")

# how the notice at the beginning of every chat begins
ENCRYPTION = (
    "messages and calls are end-to-end encrypted",
    "messages to this chat and calls are now secured",
    "nachrichten und anrufe sind ende-zu-ende-verschlüsselt",
    "los mensajes y las llamadas están cifrados de extremo a extremo",
    "as mensagens e as ligações são protegidas com a criptografia",
    "les messages et les appels sont chiffrés de bout en bout",
    "i messaggi e le chiamate sono crittografati end-to-end",
)

# behind a message that was corrected, in angle brackets
EDITED = frozenset(
    {
        "this message was edited", "diese nachricht wurde bearbeitet", "se editó este mensaje", "mensagem editada",
        "ce message a été modifié", "questo messaggio è stato modificato", "यह मैसेज एडिट किया गया",
        "تم تعديل هذه الرسالة", "編集済みのメッセージ", "此消息已编辑",
    }
)  # fmt: skip

# in parentheses behind the name of a file
ATTACHED = frozenset(
    {
        "file attached", "datei angehängt", "archivo adjunto", "arquivo anexado", "fichier joint", "file allegato",
        "bestand bijgevoegd", "फ़ाइल अटैच की गई", "फ़ाइल संलग्न", "الملف مرفق", "ファイル添付", "文件附件", "檔案附件",
        "파일 첨부됨", "файл добавлен", "dosya ekli", "file terlampir", "plik dołączony",
    }
)  # fmt: skip

# what "audio omitted" is called
AUDIO = (
    "voice message",
    "audio",
    "áudio",
    "аудио",
    "音频",
    "音訊",
    "音声",
    "オーディオ",
    "오디오",
    "الصوت",
    "صوت",
    "ऑडियो",
    "ses ",
)

# what WhatsApp Web calls media whose file has no name: "voice message (file attached)", "<voice message omitted>"
MEDIA: Mapping[str, Kind] = {
    "voice message": "voice",
    "audio": "audio",
    "video message": "video",
    "image": "image",
    "video": "video",
    "document": "file",
    "sticker": "other",
    "gif": "other",
    "media": "other",
}

# and how it puts the ones of which there is not even that, as whole messages in small letters
OMITTED = frozenset({"gif attached"})
