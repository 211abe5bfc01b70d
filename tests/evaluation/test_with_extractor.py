"""The real `Extractor` under evaluation, with a separator that really separates: below and above 800 Hz."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cse.cli import main
from cse.errors import ConfigError
from cse.evaluation.evaluate import evaluate
from cse.evaluation.perfect_separation import PerfectSeparation
from cse.extractor import Extractor
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.manifest import Mixture
from cse.selection.calibration import Choice


class SplitByFrequency(torch.nn.Module):
    """(B, T) at 16 kHz -> (B, 2, T): talker 0 lies below 800 Hz, talker 1 above."""

    sample_rate = 16_000
    talkers = 2

    def forward(self, mixture: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(mixture)
        low = torch.fft.rfftfreq(mixture.shape[-1], 1 / self.sample_rate) < 800
        return torch.stack(
            [torch.fft.irfft(spectrum * part, mixture.shape[-1]) for part in (low, ~low)], dim=1
        )


class ChoosesTheFirst:
    def choose(self, candidates, sample_rate, history, **cues) -> Choice:
        others = len(candidates) - 1
        return Choice(
            index=0,
            probabilities=np.array([0.8 - 0.1 * others, *[0.1] * others]),
            p_none=0.2,
            abstained=not history,
            target_present=True,
            audible=np.ones(len(candidates), bool),
            transcripts=("we meet at noon", *["a red car"] * others),
        )


@pytest.fixture
def extractor() -> Extractor:
    method = SeparateThenChoose(separator=SplitByFrequency(), chooser=ChoosesTheFirst())  # type: ignore[arg-type]
    return Extractor(method=method, name="split")


def test_numbers_are_those_of_the_separation(extractor: Extractor, mixtures: list[Mixture]) -> None:
    numbers = evaluate(extractor, mixtures).to_dict()

    assert numbers["n_failed"] == 0
    assert numbers["selection_accuracy"] == 1.0, "every target lies below 800 Hz, every interferer above"
    # one talker below, one above: nothing is left over but the edges of the resampling filter
    assert all(row["si_sdr_db"] > 25 for row in numbers["per_item"][:3])
    assert numbers["absent_detection_rate"] == 0.0
    assert [row["probability"] for row in numbers["per_item"]] == pytest.approx([0.7] * 4)
    assert numbers["abstention_rate"] == 0.25, "b has no history"
    assert numbers["settings"]["model"] == "split"
    assert numbers["separation_si_sdri_db"] == pytest.approx(numbers["si_sdri_db"])


def test_enrollment_alone_and_an_empty_history_are_both_possible(
    extractor: Extractor, mixtures: list[Mixture]
) -> None:
    enrolled = [replace(mixture, enrollment=mixture.mixture) for mixture in mixtures]
    assert evaluate(extractor, enrolled, cues=frozenset({"enrollment"})).to_dict()["n_failed"] == 0
    empty = evaluate(extractor, mixtures, history_turns=0)
    assert all(item.error is None and "guess" in " ".join(item.warnings) for item in empty.items)


def test_from_the_command_line(
    extractor: Extractor, manifest_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jiwer")
    monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(lambda *_, **__: extractor))
    outputs = ["--json", str(tmp_path / "metrics.json"), "--report", str(tmp_path / "report")]
    assert main(["evaluate", "--manifest", str(manifest_path), "--metrics", "wer", *outputs]) == 0
    assert "right voice" in capsys.readouterr().out
    assert json.loads((tmp_path / "metrics.json").read_text())["wer"] == pytest.approx(4 / 7)
    assert "absence missed" in (tmp_path / "report" / "index.html").read_text()


class ChoosesTheLouder:
    def choose(self, candidates, sample_rate, history, **cues) -> Choice:
        assert sample_rate == 16_000
        power = np.array([np.mean(np.square(candidate)) for candidate in candidates])
        return Choice(
            index=int(power.argmax()),
            probabilities=0.9 * power / power.sum(),
            p_none=0.1,
            abstained=False,
            target_present=True,
            audible=power > 0,
            transcripts=tuple(f"{one:.6f}" for one in power),
        )


def test_given_perfect_separation_only_the_choice_can_be_wrong(mixtures: list[Mixture]) -> None:
    extractor = Extractor(
        method=SeparateThenChoose(separator=SplitByFrequency(), chooser=ChoosesTheLouder()),  # type: ignore[arg-type]
        name="split",
    )
    perfect = PerfectSeparation(extractor, mixtures)
    numbers = evaluate(perfect, mixtures[:3]).to_dict()
    rows = {row["id"]: row for row in numbers["per_item"]}
    # back and forth between 8 and 16 kHz costs a little at the edges
    assert all(row["separation_si_sdri_db"] > 25 for row in rows.values())
    assert rows["b"]["right"] and rows["b"]["si_sdr_db"] > 25, "its target is louder by 6 dB"
    assert not rows["c"]["right"], "its target is half as long"
    assert [row["talkers_found"] for row in rows.values()] == [2, 2, 3]
    assert numbers["settings"]["model"] == "split, given perfect separation"


def test_the_true_voices_come_in_no_telling_order(extractor: Extractor, mixtures: list[Mixture]) -> None:
    copies = [replace(mixtures[0], id=f"copy {number}") for number in range(40)]
    right = [evaluate(PerfectSeparation(extractor, [one]), [one]).items[0].right for one in copies]
    assert 8 <= sum(right) <= 32, "whoever takes the first voice guesses"


def test_perfect_separation_is_for_separators(mixtures: list[Mixture]) -> None:
    with pytest.raises(ConfigError, match="leave the option out"):
        PerfectSeparation(Extractor(method=object(), name="one voice"), mixtures)  # type: ignore[arg-type]


def test_oracle_separation_from_the_command_line(
    extractor: Extractor, manifest_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(lambda *_, **__: extractor))
    options = ["evaluate", "--manifest", str(manifest_path), "--oracle-separation", "--json", "-"]
    assert main(options) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert settings["oracle_separation"] is True
    assert settings["command"] == " ".join(["cse", *options])
