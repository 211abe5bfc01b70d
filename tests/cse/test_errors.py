"""Every error is one line, has its exit code, and survives the way from a worker process."""

from __future__ import annotations

import inspect
import pickle

import pytest

from cse import errors
from cse.errors import CseError, ManifestError, MissingExtraError, TargetAbsentError, one_line

CLASSES = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, CseError) and found is not MissingExtraError
]


def test_all_error_classes_are_found() -> None:
    names = {found.__name__ for found in CLASSES}
    assert {
        "InvalidAudioError",
        "HistoryError",
        "ManifestError",
        "CheckpointError",
        "MissingCueError",
    } <= names
    assert {"ConfigError", "TargetAbsentError"} <= names


@pytest.mark.parametrize("error_class", CLASSES)
def test_exit_code(error_class: type[CseError]) -> None:
    assert error_class.exit_code == (3 if error_class is TargetAbsentError else 2)
    assert issubclass(error_class, CseError)


@pytest.mark.parametrize("error_class", CLASSES)
def test_pickling_keeps_class_and_message(error_class: type[CseError]) -> None:
    copy = pickle.loads(pickle.dumps(error_class("a.wav: is empty")))
    assert type(copy) is error_class
    assert str(copy) == "a.wav: is empty"


def test_manifest_error_keeps_its_problems_when_pickled() -> None:
    error = ManifestError("m:1:id: missing (and 1 more problems)", ["m:1:id: missing", "m:2:id: missing"])
    assert pickle.loads(pickle.dumps(error)).problems == ("m:1:id: missing", "m:2:id: missing")


def test_manifest_error_has_its_message_as_the_only_problem() -> None:
    assert ManifestError("m: no such file").problems == ("m: no such file",)


def test_missing_extra_names_the_pip_line_and_pickles() -> None:
    error = MissingExtraError(feature="reading m4a", extra="codecs", package="av")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert 'pip install "cse[codecs]"' in str(copy)
    assert (copy.feature, copy.extra, copy.package) == ("reading m4a", "codecs", "av")
    assert copy.exit_code == 2


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (CseError("one\n two\r\n\tthree"), "one two three"),
        (KeyError(), "KeyError"),
        (ValueError(""), "ValueError"),
        (FileNotFoundError(2, "No such file or directory", "a\nb.wav"), "a b.wav: No such file or directory"),
        (OSError("plain"), "plain"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_one_line(error: BaseException, line: str) -> None:
    assert one_line(error) == line
