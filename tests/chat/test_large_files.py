"""Years of chat are read in little memory: what a file holds passes through, and the last turns stay.

`make bench` reads files of a gigabyte; CSE_BENCH_MB sets another size.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

MEASURE = """
import json, re, sys, time
from pathlib import Path
from cse.chat import open_chat, read_context

def peak_kb():
    # ru_maxrss would begin at the memory of the process that started this one
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

read_context(sys.argv[1])
before, started = peak_kb(), time.process_time()
context = read_context(sys.argv[2])
peak = peak_kb()
print(json.dumps({"turns": len(context.turns), "last": context.turns[-1].text, "format": open_chat(sys.argv[2]).format,
                  "grown_mb": (peak - before) / 1024, "peak_mb": peak / 1024, "cpu_s": time.process_time() - started}))
"""


def whatsapp(number: int) -> str:
    return f"[{number % 9 + 1:02d}.03.24, 14:05:33] Ana: Message {number} of a long day\nand how it went on\n"


def telegram(number: int) -> str:
    message = {
        "id": number, "type": "message", "date": "2024-03-01T14:05:33", "from": "Ana", "from_id": "user1",
        "text": [f"Message {number} of a long day ", {"type": "bold", "text": "and how it went on"}],
    }  # fmt: skip
    start = '{"name": "Ana", "type": "personal_chat", "id": 1, "messages": [\n' if number == 0 else ",\n"
    return start + json.dumps(message, indent=1)


def plain(number: int) -> str:
    return f"Ana: Message {number} of a long day and how it went on\n"


CHATS: dict[str, tuple[Callable[[int], str], str]] = {
    "whatsapp": (whatsapp, ""),
    "telegram": (telegram, "\n]}"),
    "text": (plain, ""),
}


def write_chat(path: Path, name: str, megabytes: float) -> Path:
    """Write a chat of one format until it is so large."""
    message, end = CHATS[name]

    def pieces() -> Iterator[str]:
        size = number = 0
        while size < megabytes * 2**20:
            piece = message(number)
            size += len(piece)
            number += 1
            yield piece
        yield end

    with path.open("w", encoding="utf-8") as file:
        file.writelines(pieces())
    return path


def measure(folder: Path, name: str, megabytes: float) -> dict[str, float | str]:
    """Read a chat of that size in a process of its own."""
    small, large = (write_chat(folder / f"{size}", name, size) for size in (0.5, megabytes))
    command = [sys.executable, "-c", MEASURE, str(small), str(large)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    answer: dict[str, float | str] = json.loads(output)
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("name", CHATS)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    result = measure(tmp_path, name, 8)
    assert (result["format"], result["turns"]) == (name, 1000)
    assert str(result["last"]).startswith("Message ")
    assert float(result["grown_mb"]) < 8


@pytest.mark.benchmark
@pytest.mark.parametrize("name", CHATS)
def test_a_gigabyte_of_chat(tmp_path: Path, name: str) -> None:
    megabytes = float(os.environ.get("CSE_BENCH_MB", "1000"))
    result = measure(tmp_path, name, megabytes)
    print(
        f"{name}, {megabytes:.0f} MB: {result['peak_mb']:.0f} MB of memory, {result['cpu_s']:.0f} s of processor time"
    )
    assert (result["format"], result["turns"]) == (name, 1000)
    assert float(result["peak_mb"]) < 150
