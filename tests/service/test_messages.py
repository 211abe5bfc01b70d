"""Pipes between the service and its workers."""

from __future__ import annotations

from multiprocessing import Pipe
from threading import Thread

import pytest

from cse.service.messages import Message, receive, send


def test_what_is_sent_arrives():
    ours, theirs = Pipe()
    message = Message({"text": "\ud800 é", "number": 1.5}, (b"", b"x" * 10**6))
    sender = Thread(target=send, args=(ours, message))
    sender.start()
    assert receive(theirs) == message
    sender.join()


@pytest.mark.parametrize(
    "data", [b"", b"no JSON", b"[]", b'{"header": 1, "bytes": []}', b'{"bytes": []}', b"[" * 10**5]
)
def test_what_is_no_message_is_an_error_and_never_code(data):
    ours, theirs = Pipe()
    ours.send_bytes(data)
    with pytest.raises(OSError):
        receive(theirs)


def test_more_bytes_than_announced_are_an_error():
    ours, theirs = Pipe()
    ours.send_bytes(b'{"header": {}, "bytes": [1]}')
    ours.send_bytes(b"xx")
    with pytest.raises(OSError):
        receive(theirs)


def test_a_closed_pipe_is_the_end():
    ours, theirs = Pipe()
    ours.close()
    with pytest.raises(EOFError):
        receive(theirs)
