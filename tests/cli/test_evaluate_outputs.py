"""`cse evaluate` looks at its outputs before the work: nothing that it reads is lost, nothing is measured in vain."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cse.cli import main
from cse.extractor import Extractor
from cse.manifest import Mixture, write_manifest


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def load(*_: object, **__: object) -> Extractor:
        raise AssertionError("a model was loaded before the outputs were checked")

    monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(load))
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{name}.wav" for name in ("mixture", "target", "interferer")]
    for path in paths:
        soundfile.write(path, 0.1 * rng.standard_normal(8000), 8000)
    mixture = Mixture(
        id="m", mixture=paths[0], target=paths[1], interferers=(paths[2],), noise=None, sample_rate=8000,
        duration_s=1.0, history=(), target_speaker=None, target_text=None, interferer_texts=(None,), enrollment=None,
        snr_db=(0.0,), rt60_s=None, seed=0,
    )  # fmt: skip
    write_manifest(tmp_path / "mixtures.jsonl", [mixture])
    return tmp_path / "mixtures.jsonl"


@pytest.mark.parametrize("name", ["mixtures.jsonl", "target.wav"])
def test_an_input_is_never_overwritten(manifest: Path, capsys, name: str) -> None:
    output = manifest.parent / name
    before = output.read_bytes()
    assert main(["evaluate", "--manifest", str(manifest), "--json", str(output)]) == 2
    err = capsys.readouterr().err
    assert (
        err.startswith(f"cse evaluate: --json {output}: got the file of the input") and err.count("\n") == 1
    )
    assert output.read_bytes() == before


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc, where nobody may make files")
@pytest.mark.parametrize("option", ["--json", "--report"])
def test_a_folder_that_takes_no_file_is_told_before_the_work(manifest: Path, capsys, option: str) -> None:
    assert main(["evaluate", "--manifest", str(manifest), option, "/proc/result"]) == 2
    err = capsys.readouterr().err
    assert f"{option} /proc/result: cannot write in /proc" in err and err.count("\n") == 1
