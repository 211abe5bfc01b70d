"""The report: complete, self-contained, safe to open, and never in the way of somebody else's files."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cse.errors import ConfigError, MissingExtraError
from cse.evaluation import plots
from cse.evaluation.evaluate import Evaluation, evaluate
from cse.evaluation.examples import Example, ExampleKeeper
from cse.evaluation.items import ItemResult
from cse.evaluation.report import ITEM_COLUMNS, check_report_folder, write_report
from cse.history import Turn
from cse.manifest import Mixture

pytest.importorskip("matplotlib")


class Page(HTMLParser):
    """What a browser would load and show."""

    VOID = frozenset({"meta", "img", "br", "source", "link"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.shown = ""
        self.feed(text)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "srcset", "href")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown += data


@pytest.fixture
def evaluation(mixtures: list[Mixture], fake) -> Evaluation:
    nasty = replace(mixtures[0], id='x"><script>alert(1)</script>', target_text="<b>bold</b> $items ${title}")
    return evaluate(fake("ideal"), [nasty, *mixtures], keep_examples=4)


def test_report_shows_every_item_and_loads_nothing_from_elsewhere(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    page = write_report(tmp_path / "new" / "report", evaluation, title="A & B")

    text = page.read_text()
    parsed = Page(text)
    assert parsed.links and all((page.parent / link).is_file() for link in parsed.links)
    assert not re.search(r"https?:|@import|url\(", text)
    on_disk = {f"report_files/{file.name}" for file in (page.parent / "report_files").iterdir()}
    assert on_disk == set(parsed.links), "no file that the page does not show"
    assert parsed.tags.count("script") == 1
    assert "<script>alert" not in text
    assert 'x"><script>alert(1)</script>' in parsed.shown and "<b>bold</b> $items ${title}" in parsed.shown
    assert "A & B" in parsed.shown
    body = text[text.index('<table id="items">') :]
    assert body.count("<tr>") == 1 + len(evaluation.items)
    assert body.count("<th class=") == len(ITEM_COLUMNS)
    assert "20.0 dB" in parsed.shown and "We meet at noon" in parsed.shown


def test_sounds_of_the_examples_are_what_was_extracted(evaluation: Evaluation, tmp_path: Path) -> None:
    page = write_report(tmp_path, evaluation)
    first = evaluation.examples[0]
    mixture, rate = soundfile.read(page.parent / "report_files" / "example_01_mixture.wav")
    estimate, _ = soundfile.read(page.parent / "report_files" / "example_01_estimate.wav")
    assert rate == 8000
    assert len(mixture) == len(estimate) == 8000
    np.testing.assert_allclose(mixture, first.signals.mixture, atol=2e-4)
    np.testing.assert_allclose(estimate, first.estimate, atol=2e-4)


def test_loud_examples_keep_their_relation_and_do_not_clip(evaluation: Evaluation, tmp_path: Path) -> None:
    example = evaluation.examples[0]
    loud = replace(example, estimate=example.estimate * 5)
    write_report(tmp_path, replace(evaluation, examples=[loud]))
    sounds = {
        name: soundfile.read(tmp_path / "report_files" / f"example_01_{name}.wav")[0]
        for name in ("mixture", "estimate")
    }
    assert 0.95 < np.abs(sounds["estimate"]).max() < 1.0
    ratio = np.abs(loud.estimate).max() / np.abs(example.signals.mixture).max()
    assert np.abs(sounds["estimate"]).max() / np.abs(sounds["mixture"]).max() == pytest.approx(
        ratio, rel=0.01
    )


def test_a_second_report_replaces_the_first_and_nothing_else(evaluation: Evaluation, tmp_path: Path) -> None:
    write_report(tmp_path, evaluation)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "report_files" / "stale.png").write_bytes(b"")
    write_report(tmp_path, replace(evaluation, examples=[]))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["index.html", "notes.txt", "report_files"]
    names = {entry.name for entry in (tmp_path / "report_files").iterdir()}
    assert "stale.png" not in names and "turns.png" in names and "example_01.png" not in names


def test_a_report_that_breaks_off_leaves_the_earlier_one(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write_report(tmp_path / "old", evaluation)
    before = {file: file.read_bytes() for file in page.parent.rglob("*") if file.is_file()}
    monkeypatch.setattr(plots, "save_spectrograms", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    for folder in ("old", "new"):
        with pytest.raises(KeyboardInterrupt):
            write_report(tmp_path / folder, evaluation)
    assert {file: file.read_bytes() for file in page.parent.rglob("*") if file.is_file()} == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["old"]


def test_folders_of_others_are_refused(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<html>my site</html>")
    (tmp_path / "data" / "report_files").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    for name in ("site", "data", "file", "file/below"):
        with pytest.raises(ConfigError, match="another"):
            check_report_folder(tmp_path / name)
    (tmp_path / "empty").mkdir()
    check_report_folder(tmp_path / "empty")
    check_report_folder(tmp_path / "to" / "come")


def test_folders_that_may_not_be_looked_at_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="cannot read: File name too long; name another folder"):
        check_report_folder("x" * 300)

    def locked(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "index.html").touch()
    monkeypatch.setattr(Path, "read_text", locked)
    with pytest.raises(ConfigError, match=f"report {tmp_path}: cannot read: Permission denied; name another"):
        check_report_folder(tmp_path)


def test_a_report_without_any_result_is_still_a_page(
    mixtures: list[Mixture], fake_that_answers, tmp_path: Path
) -> None:
    def failing(item, voices):
        from cse.errors import MissingCueError

        raise MissingCueError("no <cue>")

    evaluation = evaluate(fake_that_answers(failing), mixtures, keep_examples=3)
    parsed = Page(write_report(tmp_path, evaluation).read_text())
    assert "no <cue>" in parsed.shown and parsed.shown.count("failed") >= 4
    only_absent = evaluate(fake_that_answers(failing), mixtures[3:])
    Page(write_report(tmp_path, only_absent).read_text())


def test_long_histories_show_their_end_with_the_right_numbers(evaluation: Evaluation, tmp_path: Path) -> None:
    history = [Turn(f"turn number {number}", "Ana") for number in range(1, 21)]
    example = replace(evaluation.examples[0], history=history)
    text = write_report(tmp_path, replace(evaluation, examples=[example])).read_text()
    assert "turn number 20" in text and "turn number 15" in text and "turn number 14" not in text
    assert 'start="15"' in text and "20 turns" in text and "14 earlier turns" in text


def test_turns_show_what_they_brought_and_which_way(evaluation: Evaluation, tmp_path: Path) -> None:
    first = evaluation.examples[0]
    history = [Turn("Shall we meet?", "Ana"), Turn("<i>No</i>", "Ben")]
    row = replace(first.row, turn_attribution=[1.5, -0.75])
    text = write_report(
        tmp_path, replace(evaluation, examples=[replace(first, row=row, history=history)])
    ).read_text()
    shown = Page(text).shown
    assert "+1.50" in shown and "−0.75" in shown and "<i>No</i>" in shown
    bars = re.findall(r'class="brought (\w+)"><span class="track"><i style="width:([\d.]+)%"', text)
    assert bars == [("for", "50.0"), ("against", "25.0")], "half of the track is the longest bar"


def test_earlier_turns_are_added_up(evaluation: Evaluation, tmp_path: Path) -> None:
    first = evaluation.examples[0]
    row = replace(first.row, turn_attribution=[0.5] * 3 + [0.0] * 6)
    example = replace(first, row=row, history=[Turn(f"number {one}") for one in range(9)])
    shown = Page(write_report(tmp_path, replace(evaluation, examples=[example])).read_text()).shown
    assert "3 earlier turns+1.50" in shown


def test_all_candidates_are_shown_and_the_returned_one_is_marked(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    from cse.evaluation.example_markup import candidate_rows

    row = evaluation.examples[0].row
    text = candidate_rows(row)
    assert [text.count(words) for words in ("a red car", "we meet at noon", "returned", "nobody")] == [1] * 4
    assert 'class="chosen"><td>2' in text and "90.0 %" in text
    parsed = Page(write_report(tmp_path, evaluation).read_text())
    assert "we meet at noon" in parsed.shown and "A red car." in parsed.shown


def test_the_number_of_talkers_has_a_table(evaluation: Evaluation, tmp_path: Path) -> None:
    shown = Page(write_report(tmp_path, evaluation).read_text()).shown
    assert "Number of talkers" in shown and "found 2" in shown


def test_examples_are_wrong_worst_and_best_in_turn() -> None:
    def example(name: str, *, right: bool, gain_db: float | None, probability: float) -> Example:
        row = ItemResult(
            id=name, target_absent=False, talkers=2, history_turns=0, enrollment=False, duration_s=1.0,
            right=right, si_sdri_db=gain_db, probability=probability,
        )  # fmt: skip
        return Example(row=row, mixture=None, signals=None, estimate=np.zeros(1), history=None, model="")  # type: ignore[arg-type]

    rng = np.random.default_rng(0)
    gains = rng.permutation(50)
    offered = [example(f"right {gain}", right=True, gain_db=float(gain), probability=0.8) for gain in gains]
    offered += [example(f"wrong {p}", right=False, gain_db=-20.0, probability=p / 10) for p in (3, 9, 6)]
    keeper = ExampleKeeper(5)
    for index in rng.permutation(len(offered)):
        keeper.offer(offered[index])
    assert [one.row.id for one in keeper.chosen()] == ["wrong 9", "right 0", "right 49", "wrong 6", "right 1"]

    few = ExampleKeeper(5)
    few.offer(offered[0])
    assert few.chosen() == [offered[0]], "worst and best at once, shown once"
    nothing = ExampleKeeper(0)
    nothing.offer(offered[0])
    assert nothing.chosen() == []


def test_spectrograms_share_one_scale_and_one_time_axis(tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "figure.png"
    time = np.arange(16_000) / 16_000
    loud = np.sin(2 * np.pi * 3000 * time)
    plots.save_spectrograms(path, {"Loud": loud, "Quiet, 40 dB": 0.01 * loud, "Short": loud[:4000]}, 16_000)
    pixels = image.imread(path)[:, :, :3]
    height, width = pixels.shape[:2]
    assert 900 <= width <= 1100 and height > 500
    panels = pixels[:, : int(0.88 * width)]
    warm = (panels[:, :, 0] > 0.9) & (panels[:, :, 2] < 0.8)  # the bright end of the map
    rows = np.flatnonzero(warm.sum(axis=1) > 0.5 * width)
    assert len(rows) and rows.max() < height / 3, "only the loud one is bright all along"
    short = np.flatnonzero(warm[2 * height // 3 :].any(axis=0))
    assert short.min() < 0.1 * width and short.max() < 0.35 * width, "a quarter of the time axis"


@pytest.mark.parametrize("samples", [0, 1, 100, 511, 513, 100_000])
def test_spectrogram_of_any_length(samples: int, tmp_path: Path) -> None:
    if samples == 0:
        with pytest.raises(ConfigError):
            plots.save_spectrograms(tmp_path / "none.png", {"nothing": np.zeros(0)}, 16_000)
        assert list(tmp_path.iterdir()) == []
        return
    power = plots.spectrogram_db(np.zeros(samples, np.float32), 16_000)
    assert power.shape[0] == 257 and power.shape[1] >= 1
    assert np.isfinite(power).all()


def test_an_hour_is_drawn_with_bounded_memory() -> None:
    power = plots.spectrogram_db(np.zeros(600 * 8000, np.float32), 8000)
    assert power.shape[1] <= 2 * plots.MAX_COLUMNS


def test_a_missing_matplotlib_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"cse\[metrics\]"):
        plots.save_spectrograms(tmp_path / "none.png", {"voice": np.ones(1000)}, 8000)
