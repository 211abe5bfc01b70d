"""Published lists: the same mixtures line by line, and every wrong line by its number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from cse.audio import load_waveform
from cse.cli import main
from cse.errors import ManifestError
from cse.manifest import Utterance, read_mixtures, read_utterances
from simulate.lists import MixtureList, read_list
from simulate.mixing import snr_db
from simulate.plan import PlanConfig
from simulate.render import RenderConfig, render


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Two lines of two talkers and one of three, over the made-up corpus."""
    path = tmp_path / "list.txt"
    path.write_text(
        "/train000/train000-02.wav /train001/train001-01.wav -3.9264\n"
        "\n"
        "/train002/train002-00.wav /train003/train003-03.wav 2.5776\n"
        "/train004/train004-01.wav /train001/train001-00.wav /train002/train002-01.wav 0.3663 -4.75\n"
    )
    return path


def _pcm(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0].astype(np.int64)


def test_a_list_is_made_line_by_line(
    made_up_utterances: Path, tmp_path: Path, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    utterances = {utterance.id: utterance for utterance in read_utterances(made_up_utterances)}
    command = ["simulate", f"utterances={made_up_utterances}", f"output={tmp_path}/out", "preset=paper"]
    assert main([*command, f"list={published}"]) == 0
    assert "3 mixtures" in capsys.readouterr().err
    records = read_mixtures(tmp_path / "out" / "mixtures.jsonl")
    lines = read_list(published)[0]
    assert [record.id for record in records] == [
        "000000-train000-02",
        "000002-train002-00",
        "000003-train004-01",
    ]
    for record, line in zip(records, lines, strict=True):
        assert (record.extra["target_id"], *record.extra["interferer_ids"]) == line.talkers
        assert record.snr_db == line.snr_db
        assert record.history == utterances[line.talkers[0]].history
        assert record.target is not None and record.sample_rate == 8000
        # sample by sample, and peak 0.9 again
        np.testing.assert_array_equal(
            _pcm(record.mixture), sum(_pcm(path) for path in (record.target, *record.interferers))
        )
        assert np.abs(_pcm(record.mixture)).max() / 2**15 == pytest.approx(0.9, abs=1e-3)
        target = load_waveform(record.target, 8000)
        for path, asked_db in zip(record.interferers, line.snr_db, strict=True):
            assert snr_db(target, load_waveform(path, 8000)) == pytest.approx(asked_db, abs=0.1)
        # each talker as it was recorded, from the first sample on, the shorter padded with silence
        for path, name in zip([record.target, *record.interferers], line.talkers, strict=True):
            speech, part = load_waveform(utterances[name].audio, 8000), load_waveform(path, 8000)
            assert not np.any(part[len(speech) :])
            part = part[: len(speech)]
            gain = np.dot(speech, part) / np.dot(speech, speech)
            assert np.abs(part - gain * speech).max() < 1.5 / 2**15
        longest = max(len(load_waveform(utterances[one].audio, 8000)) for one in line.talkers)
        assert len(_pcm(record.mixture)) == longest


def test_all_wrong_lines_are_named_in_one_pass(
    made_up_utterances: Path, tmp_path: Path, published: Path
) -> None:
    with published.open("a") as file:
        file.write(
            "/a/nobody.wav /train001/train001-01.wav 1.0\n"
            "/a/train000-02.wav /train001/train001-01.wav\n"
            "/a/train000-02.wav /a/train000-02.wav 1.0\n"
            "/a/train000-02.wav /train001/train001-01.wav loud\n"
            "/a/train000-02.wav /train001/train001-01.wav nan\n"
            "/a/train000-02.wav /b/anybody.wav /c/somebody.wav 1 1\n"
        )
    with pytest.raises(ManifestError) as error:
        render(made_up_utterances, tmp_path / "out", RenderConfig(list=published), progress=False)
    assert error.value.problems == (
        f"{published}:5: no utterance nobody in the manifest",
        f"{published}:6: got 2 columns, expected 3 (target interferer snr) or 5 (target and two interferers,"
        " two ratios)",
        f"{published}:7: got an utterance twice, train000-02 train000-02, expected different ones",
        f"{published}:8: got 'loud' as a ratio, expected dB between -100 and 100",
        f"{published}:9: got 'nan' as a ratio, expected dB between -100 and 100",
        f"{published}:10: no utterance anybody, somebody in the manifest",
    )
    assert "(and 5 more problems)" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_missing_utterances_can_be_skipped_and_change_nothing_else(
    made_up_utterances: Path, tmp_path: Path, published: Path
) -> None:
    corpus = read_utterances(made_up_utterances)
    lost = [utterance for utterance in corpus if utterance.id != "train002-00"]
    config = PlanConfig(overlap=(0.2, 0.8))
    with pytest.raises(
        ManifestError, match="list.txt:3: no utterance train002-00 in the manifest; skip_missing=true"
    ):
        MixtureList(published, lost, config)
    whole = MixtureList(published, corpus, config)
    with pytest.warns(UserWarning, match="1 of 3 mixtures left out"):
        part = MixtureList(published, lost, config, skip_missing=True)
    assert len(part) == 2
    for place, line in enumerate((0, 2)):
        one, other = whole.plan(line), part.plan(place)
        assert (one.id, one.talkers, one.snr_db, one.timing) == (
            other.id,
            other.talkers,
            other.snr_db,
            other.timing,
        )
    with pytest.raises(ManifestError, match="the utterances of none of its 3 lines"):
        MixtureList(published, lost[-1:], config, skip_missing=True)


def test_no_list(made_up_utterances: Path, tmp_path: Path) -> None:
    corpus = read_utterances(made_up_utterances)
    for content, says in (
        (None, "cannot read: No such file"),
        (b"\n", "no mixtures"),
        (b"\xff\xfe\x00", "no text"),
    ):
        path = tmp_path / "list.txt"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ManifestError, match=says):
            MixtureList(path, corpus, PlanConfig())


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("DailyTalk/test_mix.txt", "0_1_d32"),
        ("SpokenWoz/test_mix.txt", "0_0_MUL1372"),
        ("TEDLIUM/test_mix.txt", "AmandaBurden_2014-0005016-0005995"),
        ("TEDLIUM/test_mix_3speaker.txt", "AmandaBurden_2014-0005016-0005995"),
    ],
)
def test_the_paper_s_lists(development_data: Path, name: str, first: str) -> None:
    path = development_data / "paper_lists" / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    mixtures, problems = read_list(path)
    assert not problems and len(mixtures) == 40
    assert mixtures[0].talkers[0] == first
    names = sorted({talker for mixture in mixtures for talker in mixture.talkers})
    corpus = [
        Utterance(id=one, audio=path.with_name(f"{one}.wav"), speaker=one, duration_s=1.0, sample_rate=8000)
        for one in names
    ]
    planned = MixtureList(path, corpus, PlanConfig())
    assert len(planned) == 40
    assert planned.plan(0).asked.id == first
    assert all(abs(ratio) <= 5 for mixture in mixtures for ratio in mixture.snr_db)
