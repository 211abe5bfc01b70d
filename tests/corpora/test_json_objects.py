"""A large JSON object, an entry at a time: equal to what json reads, wherever its parts are split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cse.corpora import json_objects
from cse.corpora.json_objects import iterate_object
from cse.errors import ManifestError

CONTENT = {"a": {"log": [1, 2.5, None, 'caf\u00e9 \\ " }']}, "b": 1234567, "c": [], "d": True, "": {"x": {}}}


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("indent", [None, 2])
def test_entries_are_those_of_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, indent: int | None
):
    monkeypatch.setattr(json_objects, "_CHUNK", chunk)
    (tmp_path / "data.json").write_text(
        json.dumps(CONTENT, indent=indent, ensure_ascii=False), encoding="utf-8"
    )
    assert dict(iterate_object(tmp_path / "data.json")) == CONTENT


def test_an_empty_object_has_no_entries(tmp_path: Path):
    (tmp_path / "data.json").write_text(" { } ")
    assert list(iterate_object(tmp_path / "data.json")) == []


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "character 1: ends, expected '{'"),
        ("[1]", "got '\\[', expected '{'"),
        ('{"a": {"b": 1}', "ends, expected '}'"),
        ('{"a": {"b": 1', "is it complete"),
        ('{"a": 1 "b": 2}', "character 9: got '\"'"),
        ("{1: 2}", "expected a name in quotes"),
    ],
)
def test_broken_json_says_where(tmp_path: Path, text: str, message: str):
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(ManifestError, match=message) as caught:
        list(iterate_object(tmp_path / "data.json"))
    assert str(tmp_path / "data.json") in str(caught.value)


def test_a_missing_file_and_latin_1_are_named(tmp_path: Path):
    with pytest.raises(ManifestError, match="no such file"):
        list(iterate_object(tmp_path / "data.json"))
    (tmp_path / "data.json").write_bytes('{"a": "é"}'.encode("latin-1"))
    with pytest.raises(ManifestError, match="no UTF-8"):
        list(iterate_object(tmp_path / "data.json"))
