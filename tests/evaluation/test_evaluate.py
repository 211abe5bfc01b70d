"""Evaluation on a manifest written by hand: every number below is worked out on paper."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from math import log10
from pathlib import Path

import numpy as np
import pytest

from cse.errors import ConfigError, HistoryError, InvalidAudioError, MissingExtraError
from cse.evaluation.evaluate import evaluate
from cse.history import Turn
from cse.manifest import Mixture

CONTRACT = {
    "n", "selection_accuracy", "selection_accuracy_ci95", "si_sdr_db", "si_sdri_db", "sdri_db",
    "si_sdri_selected_db", "separation_si_sdri_db", "failure_rate", "hedging_rate", "ece", "abstention_rate",
    "pesq", "stoi", "wer", "real_time_factor", "peak_rss_mb", "by_history_turns", "per_item",
}  # fmt: skip
SIX_DB = 20 * log10(2)
THREE_DB = 10 * log10(2)


def test_ideal_extractor(mixtures: list[Mixture], fake) -> None:
    numbers = evaluate(fake("ideal"), mixtures).to_dict()

    assert set(numbers) >= CONTRACT
    assert (numbers["n"], numbers["n_present"], numbers["n_absent"], numbers["n_failed"]) == (4, 3, 1, 0)
    assert numbers["selection_accuracy"] == 1.0
    assert numbers["selection_accuracy_ci95"] == pytest.approx([0.4385, 1.0], abs=1e-4)
    # interferers: 20 dB down of what they are in the mixture, so every item gains 20 dB
    rows = {row["id"]: row for row in numbers["per_item"]}
    assert rows["a"]["si_sdr_db"] == pytest.approx(20.0, abs=1e-3)
    assert rows["b"]["si_sdr_db"] == pytest.approx(20.0 + SIX_DB, abs=1e-3)
    assert rows["c"]["si_sdr_db"] == pytest.approx(20.0 - THREE_DB, abs=1e-3), (
        "two interferers of the same level"
    )
    assert numbers["si_sdr_db"] == pytest.approx(20.0 + (SIX_DB - THREE_DB) / 3, abs=1e-3)
    for name in ("si_sdri_db", "si_sdri_selected_db", "separation_si_sdri_db"):
        assert numbers[name] == pytest.approx(20.0, abs=1e-3)
    assert numbers["si_sdri_db_ci95"] == pytest.approx([20.0, 20.0], abs=1e-3)
    assert numbers["failure_rate"] == numbers["hedging_rate"] == numbers["abstention_rate"] == 0.0
    assert numbers["absent_detection_rate"] == 1.0
    assert numbers["false_absent_rate"] == 0.0
    # 0.9 on three right voices and on one that cannot be right
    assert numbers["ece"] == pytest.approx(0.9 - 0.75)
    assert numbers["pesq"] is numbers["stoi"] is numbers["wer"] is None
    assert numbers["real_time_factor"] > 0 and numbers["peak_rss_mb"] > 10


def test_swapped_extractor_separates_well_and_chooses_wrong(mixtures: list[Mixture], fake) -> None:
    numbers = evaluate(fake("swapped"), mixtures[:2]).to_dict()

    assert numbers["selection_accuracy"] == 0.0
    assert numbers["si_sdri_selected_db"] is None
    assert numbers["separation_si_sdri_db"] == pytest.approx(20.0, abs=1e-3)
    # a: −20 dB out, 0 dB in; b: interferer 6 dB weaker: −20 + 6 out, 6 in
    assert numbers["si_sdri_db"] == pytest.approx(-20.0, abs=1e-3)
    assert numbers["failure_rate"] == 1.0
    assert numbers["hedging_rate"] == 0.0, "it is sure of the wrong one"
    assert numbers["ece"] == pytest.approx(0.9)
    assert numbers["risk_coverage_area"] == 1.0


def test_hedging_extractor_is_told_from_one_that_chooses(mixtures: list[Mixture], fake) -> None:
    numbers = evaluate(fake("hedging"), mixtures[:1]).to_dict()

    row = numbers["per_item"][0]
    assert row["si_sdr_db"] == pytest.approx(20 * log10(1.1), abs=1e-3)
    assert row["interferer_si_sdr_db"] == pytest.approx(-20 * log10(1.1), abs=1e-3)
    assert row["hedged"] and row["right"]
    assert numbers["hedging_rate"] == 1.0
    assert numbers["failure_rate"] == 1.0, "0.8 dB is below 1 dB"
    assert numbers["abstention_rate"] == 1.0
    assert numbers["separation_si_sdri_db"] is None, "no candidates, no separation to speak of"


def test_calling_every_target_absent(mixtures: list[Mixture], fake) -> None:
    numbers = evaluate(fake("absent"), mixtures).to_dict()

    assert numbers["absent_detection_rate"] == 1.0
    assert numbers["false_absent_rate"] == 1.0
    assert numbers["selection_accuracy"] == 1.0, "the rule looks at the waveform, which is the target's"
    absent_row = numbers["per_item"][3]
    assert absent_row["right"] and absent_row["target_absent"]
    assert absent_row["si_sdr_db"] is None and absent_row["hedged"] is None


def test_an_absence_that_goes_unnoticed_is_wrong_and_stays_out_of_the_means(
    mixtures: list[Mixture], fake
) -> None:
    numbers = evaluate(fake("swapped"), mixtures[3:]).to_dict()

    assert numbers["per_item"][0]["right"] is False
    assert numbers["absent_detection_rate"] == 0.0
    assert numbers["selection_accuracy"] is numbers["selection_accuracy_ci95"] is numbers["si_sdr_db"] is None


def test_what_lies_behind_a_short_target_does_not_enter(mixtures, fake_that_answers, new_extraction) -> None:
    def noisy_tail(item, voices):
        estimate = voices[0] + 0.1 * sum(voices[1:])
        estimate[4000:] = 0.9
        return new_extraction(estimate)

    row = evaluate(fake_that_answers(noisy_tail), mixtures[2:3]).items[0]
    assert row.si_sdri_db == pytest.approx(20.0, abs=1e-3)


def test_a_lost_tail_is_silence_and_costs(mixtures, fake_that_answers, new_extraction) -> None:
    row = evaluate(fake_that_answers(lambda _, voices: new_extraction(voices[0][:4000])), mixtures[:1]).items[
        0
    ]
    assert row.si_sdr_db == pytest.approx(0.0, abs=0.01), (
        "half of the tone is there: energy found = energy missing"
    )


def test_rows_keep_what_led_to_the_choice(mixtures, fake_that_answers, new_extraction) -> None:
    from cse.extraction import Candidate

    def explaining(item, voices):
        candidates = [Candidate(voices[0], 0.6, "at noon"), Candidate(voices[1], 0.1, "")]
        return new_extraction(voices[0], candidates=candidates, turn_attribution=[0.25, -0.5, 1.0])

    evaluation = evaluate(fake_that_answers(explaining), mixtures[:1])
    row = evaluation.to_dict()["per_item"][0]
    assert row["turn_attribution"] == [0.25, -0.5, 1.0]
    assert row["p_none"] == pytest.approx(0.3), "the rest of the candidates' probabilities"
    assert (row["talkers"], row["talkers_found"]) == (2, 2)
    assert row["processor_seconds"] >= 0 and not row["alone"] and row["input_si_sdr_db"] is None


def test_one_talker_is_compared_with_the_recording(mixtures, fake_that_answers, new_extraction) -> None:
    alone = replace(mixtures[0], mixture=mixtures[0].target, interferers=())

    class Untouched:
        def extract(self, audio, history=None, *, enrollment=None, target=None):
            import soundfile

            waveform = soundfile.read(audio, dtype="float32")[0]
            return new_extraction(waveform + 0.01 * np.roll(waveform, 4))

    numbers = evaluate(Untouched(), [alone]).to_dict()
    # a tone of 18.18 samples a period, 1/100 of it four samples late
    assert numbers["single_talker_si_sdr_db"] == pytest.approx(40.1, abs=0.5)
    assert numbers["single_talker_untouched_rate"] == 1.0
    assert numbers["si_sdri_db"] is numbers["failure_rate"] is None
    noisy = evaluate(Untouched(), [replace(alone, noise=mixtures[0].interferers[0])]).to_dict()
    assert noisy["single_talker_si_sdr_db"] is None and noisy["si_sdri_db"] is not None, "noise may go"


def test_an_estimate_at_another_rate_is_brought_to_the_manifests(
    mixtures, fake_that_answers, new_extraction
) -> None:
    from cse.audio import resample

    def at_16k(item, voices):
        return new_extraction(resample(voices[0] + 0.1 * voices[1], 8000, 16000), sample_rate=16_000)

    row = evaluate(fake_that_answers(at_16k), mixtures[:1]).items[0]
    assert row.si_sdr_db == pytest.approx(20.0, abs=0.3)


def test_an_item_that_fails_counts_as_wrong_and_the_run_goes_on(
    mixtures, fake_that_answers, new_extraction
) -> None:
    def choosy(item, voices):
        if item == "b":
            raise HistoryError("no turns\nat all")
        if item == "c":
            return new_extraction(np.full_like(voices[0], np.nan))
        return new_extraction(voices[0], target_present=item != "d")

    evaluation = evaluate(fake_that_answers(choosy), mixtures)
    numbers = evaluation.to_dict()
    assert [row.error is None for row in evaluation.items] == [True, False, False, True]
    assert evaluation.items[1].error == "no turns at all"
    assert "NaN" in str(evaluation.items[2].error)
    assert numbers["n_failed"] == 2
    assert numbers["selection_accuracy"] == pytest.approx(1 / 3)
    assert numbers["failure_rate"] == pytest.approx(2 / 3)
    assert numbers["si_sdri_db"] == evaluation.items[0].si_sdri_db, "no number is made up for what failed"
    strict = json.loads(evaluation.to_json(), parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    assert strict["per_item"][1]["si_sdr_db"] is None


def test_an_item_that_fails_half_way_leaves_no_number(mixtures: list[Mixture], fake) -> None:
    class Deaf:
        name = "deaf"

        def transcribe(self, waveform: np.ndarray, sample_rate: int) -> None:
            raise InvalidAudioError("too quiet to read")

    evaluation = evaluate(fake("ideal"), mixtures[:1], metrics=frozenset({"wer"}), transcriber=Deaf())  # type: ignore[arg-type]
    row = evaluation.items[0]
    assert row.error == "too quiet to read" and not row.right
    assert row.si_sdr_db is row.probability is row.seconds is None
    assert evaluation.to_dict()["real_time_factor"] is None


def test_a_silent_target_and_an_unreadable_file_are_failures_of_their_item(
    mixtures, fake, tmp_path: Path
) -> None:
    import soundfile

    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 8000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    changed = [
        replace(mixtures[0], target=tmp_path / "silent.wav"),
        replace(mixtures[0], interferers=(tmp_path / "broken.wav",)),
        mixtures[0],
    ]
    items = evaluate(fake("ideal"), changed).items
    assert "silent" in str(items[0].error) and "broken.wav" in str(items[1].error)
    assert items[2].right and items[2].error is None


@pytest.mark.parametrize(
    "error", [MissingExtraError(feature="x", extra="offline", package="y"), ZeroDivisionError()]
)
def test_what_would_fail_every_time_ends_the_run(mixtures, fake_that_answers, error: Exception) -> None:
    def broken(item, voices):
        raise error

    with pytest.raises(type(error)):
        evaluate(fake_that_answers(broken), mixtures)


@pytest.mark.parametrize(("turns", "expected"), [(None, 3), (0, 0), (1, 1), (2, 2), (3, 3), (100, 3)])
def test_history_turns_are_the_last_ones(mixtures, fake, turns: int | None, expected: int) -> None:
    extractor = fake("ideal")
    evaluation = evaluate(extractor, mixtures[:1], history_turns=turns)
    history = extractor.calls[0][1]
    assert history == list(mixtures[0].history)[3 - expected :]
    assert evaluation.items[0].history_turns == expected
    if turns == 1:
        assert history == [Turn("When?", "Ana")]


def test_cues_decide_what_the_extractor_gets(mixtures, fake, manifest_path: Path) -> None:
    enrolled = [replace(mixtures[0], enrollment=manifest_path.with_name("b_target.wav"))]
    given = {}
    for cues in (
        None,
        frozenset({"history"}),
        frozenset({"enrollment"}),
        frozenset({"history", "enrollment"}),
    ):
        extractor = fake("ideal")
        evaluate(extractor, enrolled, cues=cues)
        _, history, enrollment = extractor.calls[0]
        given[cues] = (history is not None, enrollment is not None)
    assert list(given.values()) == [(True, True), (True, False), (False, True), (True, True)]


@pytest.mark.parametrize(
    ("speaker", "turns", "named"),
    [("Ben", None, "Ben"), ("Ben", 1, "Ben"), ("Ben", 0, None), ("Cleo", None, None), (None, None, None)],
)
def test_who_speaks_is_told_where_the_history_names_them(mixtures, fake, speaker, turns, named) -> None:
    extractor = fake("ideal")
    evaluate(extractor, [replace(mixtures[0], target_speaker=speaker)], history_turns=turns)
    assert extractor.targets == [named]


def test_groups_by_turns_of_history(mixtures: list[Mixture], fake) -> None:
    groups = evaluate(fake("ideal"), mixtures).to_dict()["by_history_turns"]
    assert {label: group["n"] for label, group in groups.items()} == {"0": 1, "1": 1, "3-4": 1}, (
        "d has no target"
    )
    assert groups["3-4"]["selection_accuracy"] == 1.0
    assert groups["3-4"]["si_sdri_db"] == pytest.approx(20.0, abs=1e-3)
    many = [replace(mixtures[0], history=(Turn("x"),) * count) for count in (2, 4, 5, 9, 10, 19, 20, 500)]
    groups = evaluate(fake("ideal"), many).to_dict()["by_history_turns"]
    assert {label: group["n"] for label, group in groups.items()} == {
        "2": 1, "3-4": 1, "5-9": 2, "10-19": 2, "20+": 2,
    }  # fmt: skip


def test_words_come_from_the_chosen_candidate_or_from_a_transcriber(mixtures: list[Mixture], fake) -> None:
    pytest.importorskip("jiwer")

    @dataclass(frozen=True)
    class Words:
        text: str

    class Parrot:
        name = "parrot"

        def transcribe(self, waveform: np.ndarray, sample_rate: int) -> Words:
            assert waveform.shape == (8000,) and sample_rate == 8000
            return Words("bring bread")

    own = evaluate(fake("ideal"), mixtures, metrics=frozenset({"wer"}))
    # a: no error in 4 words; b: "we meet at noon" for "bring some bread" has 4 errors in 3 words; c has no
    # text
    assert [row.wer for row in own.items] == [0.0, pytest.approx(4 / 3), None, None]
    assert own.to_dict()["wer"] == pytest.approx(4 / 7)
    heard = evaluate(fake("hedging"), mixtures[1:2], metrics=frozenset({"wer"}), transcriber=Parrot())  # type: ignore[arg-type]
    assert heard.items[0].transcript == "bring bread"
    assert heard.items[0].wer == pytest.approx(1 / 3)
    assert heard.settings["transcriber"] == "parrot"
    silent = evaluate(fake("hedging"), mixtures[1:2], metrics=frozenset({"wer"}))
    assert silent.to_dict()["wer"] is None


def test_asked_for_metrics_are_there(mixtures: list[Mixture], fake) -> None:
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    numbers = evaluate(fake("ideal"), mixtures, metrics=frozenset({"pesq", "stoi"})).to_dict()
    assert 1.0 <= numbers["pesq"] <= 4.7
    assert numbers["stoi"] is not None and numbers["per_item"][3]["stoi"] is None
    assert numbers["wer"] is None


def test_the_same_seed_gives_the_same_numbers(mixtures: list[Mixture], fake) -> None:
    first, second, other = (evaluate(fake("ideal"), mixtures, seed=seed).to_dict() for seed in (3, 3, 4))
    for name in ("si_sdr_db_ci95", "si_sdri_db_ci95", "selection_accuracy_ci95", "ece"):
        assert first[name] == second[name]
    assert (first["settings"]["seed"], other["settings"]["seed"]) == (3, 4)
    assert first["settings"]["model"] == "fake"


def test_wrong_options_are_told_before_any_work(mixtures, fake) -> None:
    extractor = fake("ideal")
    for options, words in (
        ({"cues": frozenset({"smell"})}, "smell.*history"),
        ({"cues": frozenset()}, "no cue"),
        ({"cues": frozenset({"enrollment"})}, "4 of 4 mixtures have none.*'a'"),
        ({"metrics": frozenset({"mos"})}, "mos.*pesq"),
        ({"history_turns": -1}, "-1"),
    ):
        with pytest.raises(ConfigError, match=words):
            evaluate(extractor, mixtures, **options)
    with pytest.raises(ConfigError, match="no mixture"):
        evaluate(extractor, [])
    assert extractor.calls == []


def test_json_is_written_whole_or_not_at_all(mixtures, fake, tmp_path: Path) -> None:
    evaluation = evaluate(fake("ideal"), mixtures)
    path = tmp_path / "metrics.json"
    evaluation.save_json(path)
    assert json.loads(path.read_text())["n"] == 4
    broken = replace(evaluation, settings={"seed": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        broken.save_json(path)
    assert json.loads(path.read_text())["n"] == 4
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.json"]


def test_rows_that_cannot_be_scored_are_invalid_audio() -> None:
    from cse.evaluation.items import Signals, at_rate

    signals = Signals(mixture=np.zeros(10, np.float32), target=None, interferers=(), sample_rate=8000)
    assert at_rate(np.ones(4), 8000, signals).tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert at_rate(np.ones(14), 8000, signals).shape == (10,)
    with pytest.raises(InvalidAudioError):
        at_rate(np.array([0.0, np.inf]), 8000, signals)
