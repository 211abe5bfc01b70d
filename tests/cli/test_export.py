"""`cse export onnx`."""

from __future__ import annotations

import pytest

from cse.cli import main

pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


def test_the_packaged_model_is_exported_and_runs(tmp_path, capsys):
    from cse.ondevice.onnx_extractor import OnnxExtractor

    sizes = {}
    for precision in ("float32", "float16", "int8"):
        output = tmp_path / f"{precision}.onnx"
        assert (
            main(["export", "onnx", "separator-2spk-16k", "-o", str(output), "--precision", precision]) == 0
        )
        assert f"separator-2spk-16k, separator of 2 talkers, {precision}" in capsys.readouterr().out
        sizes[precision] = output.stat().st_size
    assert sizes["float16"] < 0.6 * sizes["float32"] and sizes["int8"] < 0.5 * sizes["float32"]
    assert OnnxExtractor.from_file(tmp_path / "int8.onnx").talkers == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["separator-2spk-16k", "-o", "model.pt"], "expected .onnx"),
        (["separator-2spk-16k"], "-o: got none"),
        (["no-such-model", "-o", "model.onnx"], "no such model"),
        (["separator-2spk-16k", "-o", "no/folder/model.onnx"], "does not exist"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "onnx", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
