"""`cse train` on a made-up corpus: it learns, resumes exactly, runs on two processes, and explains what is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from cse.checkpoint import instantiate, load_checkpoint, load_state
from cse.cli import main
from cse.cli.config import call, compose, plain
from cse.cli.train import _schema
from cse.testing.corpus import write_utterances
from cse.training.dialogue_mixtures import DialogueConfig

TINY = [
    "sample_rate=8000",
    "filterbank.channels=66",
    "filterbank.hop_size=32",
    "+backbone.bottleneck=16",
    "+backbone.hidden=32",
    "+backbone.blocks=2",
    "+backbone.repeats=1",
    "data.batch_size=2",
    "data.steps_per_epoch=4",
    "data.validation_mixtures=5",
    "data.validation_segment_s=0.5",
    "data.mixing.segment_s=0.5",
    "optimizer.warmup_steps=2",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("corpus")
    manifests = [
        write_utterances(folder / split, dialogues=6, sample_rate=8000, split=split, seed=seed)
        for seed, split in enumerate(("train", "dev"))
    ]
    # the made-up talkers have the same names in both: validation wants others
    text = manifests[1].read_text().replace('"talker', '"other')
    manifests[1].write_text(text)
    return [f"data.utterances=[{','.join(map(str, manifests))}]", f"data.cache_dir={folder / 'cache'}"]


def weights(output: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(output / "model").state


def last_validation_si_sdri_db(output: Path) -> float:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(output / "tensorboard"))
    events.Reload()
    return float(events.Scalars("validation/si_sdri_db")[-1].value)


def test_the_finished_checkpoint_separates(corpus, tmp_path):
    assert main(["train", *TINY, *corpus, f"output={tmp_path}", "trainer.max_steps=3"]) == 0
    checkpoint = load_checkpoint(tmp_path / "model")
    model = instantiate(checkpoint.config["model"])
    load_state(model, checkpoint.state)
    assert model(torch.randn(1, 4000)).shape == (1, 2, 4000)
    assert "3 steps" in checkpoint.card


def test_training_may_start_from_another_model_but_a_resumed_run_does_not(corpus, tmp_path, capsys):
    frozen = [*TINY, *corpus, "optimizer.learning_rate=0.0", "seed=1", "trainer.checkpoint_every_steps=1"]
    assert main(["train", *TINY, *corpus, f"output={tmp_path / 'first'}", "trainer.max_steps=2"]) == 0
    start = f"trainer.init_from=[{tmp_path / 'first' / 'model'}]"
    assert main(["train", *frozen, start, f"output={tmp_path / 'second'}", "trainer.max_steps=1"]) == 0
    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = f"trainer.init_from=[{tmp_path / 'other' / 'model'}]"
    assert (
        main(["train", *TINY, *corpus, f"output={tmp_path / 'other'}", "trainer.max_steps=1", "seed=2"]) == 0
    )
    assert main(["train", *frozen, other, f"output={tmp_path / 'second'}", "trainer.max_steps=2"]) == 0
    resumed = weights(tmp_path / "second")
    assert all(torch.equal(second[name], resumed[name]) for name in second)
    wrong = [option.replace("repeats=1", "repeats=2") for option in TINY]
    assert main(["train", *wrong, *corpus, start, f"output={tmp_path / 'third'}", "trainer.max_steps=1"]) == 2
    assert "cse train: " in capsys.readouterr().err


def test_it_learns(corpus, tmp_path):
    steps = ["trainer.max_steps=60", "data.steps_per_epoch=60", "optimizer.learning_rate=0.01"]
    assert main(["train", *TINY, *corpus, *steps, f"output={tmp_path}"]) == 0
    assert last_validation_si_sdri_db(tmp_path) > 1.0


@pytest.mark.parametrize("extra", [[], ["trainer.ema_decay=0.9"]], ids=["plain", "ema"])
def test_a_run_that_was_stopped_goes_on_as_if_nothing_had_happened(corpus, tmp_path, extra):
    options = [*TINY, *corpus, *extra, "trainer.checkpoint_every_steps=3", "optimizer.total_steps=7"]
    assert main(["train", *options, f"output={tmp_path / 'whole'}", "trainer.max_steps=7"]) == 0
    # stopped in the middle of the first epoch, then in the middle of the second
    for steps in (3, 6, 7):
        assert main(["train", *options, f"output={tmp_path / 'parts'}", f"trainer.max_steps={steps}"]) == 0
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name in whole:
        assert torch.equal(whole[name], parts[name]), name


@pytest.mark.slow
def test_two_processes_train_together_and_validate_like_one(corpus, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    results = {}
    for processes, batch in ((1, 2), (2, 1)):
        output = tmp_path / f"{processes}"
        command = [
            sys.executable, "-m", "cse", "train", *TINY, *corpus, f"output={output}", "trainer.max_steps=4",
            f"data.batch_size={batch}", f"trainer.devices={processes}", "trainer.checkpoint_every_steps=2",
            f"trainer.strategy={'ddp' if processes == 2 else 'auto'}",
        ]  # fmt: skip
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        results[processes] = (weights(output), last_validation_si_sdri_db(output))
    # each step saw the same mixtures, shared out over the processes, so the weights agree but for rounding
    for name, tensor in results[1][0].items():
        assert torch.allclose(tensor, results[2][0][name], atol=2e-4), name
    assert results[1][1] == pytest.approx(results[2][1], abs=0.02)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_stop_says_so_and_leaves_no_model(corpus, tmp_path, stop):
    command = [
        sys.executable,
        "-m",
        "cse",
        "train",
        *TINY,
        *corpus,
        f"output={tmp_path}",
        "trainer.max_steps=100000",
    ]
    with subprocess.Popen(
        [*command, "trainer.checkpoint_every_steps=2"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        # a test run in the background ignores Ctrl-C, and its children with it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not (tmp_path / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
                time.sleep(0.2)
            process.send_signal(stop)
            message = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 130
    assert message.endswith("cse train: interrupted\n")
    assert not (tmp_path / "model").exists()


def test_every_experiment_composes_and_builds():
    folder = Path(__file__).parents[2] / "configs" / "experiment"
    experiments = sorted(
        path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml")
    )
    assert experiments
    for experiment in experiments:
        config = compose(
            "train", [f"experiment={experiment}", "output=x", "data.utterances=[y]"], schema=_schema()
        )
        from omegaconf import OmegaConf

        model = instantiate(OmegaConf.to_container(config, resolve=True)["model"])
        assert model.talkers == config.talkers


@pytest.mark.parametrize("experiment", ["separator", "listener", "contsep", "cont_ext", "h_cont_ext"])
def test_mixtures_of_real_corpora_end_with_their_last_talker(experiment):
    options = [f"experiment=corpus/{experiment}", "output=x", "data.utterances=[y]"]
    mixing = plain(compose("train", options, schema=_schema()))["data"]["mixing"]
    del mixing["_target_"]
    config = call(DialogueConfig, mixing)  # refuses what does not go together
    assert (config.segment_s, config.padded, config.max_delay_s) == (16.0, False, 1.0)


@pytest.mark.parametrize("filterbank", ["stft", "learned"])
@pytest.mark.parametrize("backbone", ["conv_tasnet", "sepformer"])
@pytest.mark.parametrize("talkers", [2, 3])
@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_every_choice_of_backbone_filterbank_talkers_and_rate_builds(
    filterbank, backbone, talkers, sample_rate
):
    from omegaconf import OmegaConf

    options = [
        f"filterbank={filterbank}",
        f"backbone={backbone}",
        f"talkers={talkers}",
        f"sample_rate={sample_rate}",
    ]
    config = compose("train", [*options, "output=x", "data.utterances=[y]"], schema=_schema())
    model = instantiate(OmegaConf.to_container(config, resolve=True)["model"])
    assert (model.talkers, model.sample_rate) == (talkers, sample_rate)


def one_line_error(capsys, arguments: list[str]) -> str:
    assert main(["train", *arguments]) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith("cse train: ")
    assert "\n" not in message
    return message


def test_what_is_missing_or_mistyped_is_named(capsys, corpus, tmp_path):
    assert "data.utterances is missing" in one_line_error(capsys, [f"output={tmp_path}"])
    assert "output is missing" in one_line_error(capsys, corpus)
    assert "unknown option talker" in one_line_error(capsys, [*corpus, f"output={tmp_path}", "talker=3"])
    assert "sepformer" in one_line_error(capsys, [*corpus, f"output={tmp_path}", "backbone=nonsense"])
    assert "max_steps" in one_line_error(
        capsys, [*TINY, *corpus, f"output={tmp_path}", "trainer.max_steps=many"]
    )


def test_mixtures_of_more_talkers_than_the_model_has_are_refused(capsys, corpus, tmp_path):
    message = one_line_error(capsys, [*TINY, *corpus, f"output={tmp_path}", "data.mixing.talkers=3"])
    assert "data.mixing.talkers is 3, the model separates 2" in message


def test_validation_on_what_is_trained_on_is_refused(capsys, corpus, tmp_path):
    message = one_line_error(capsys, [*TINY, *corpus, f"output={tmp_path}", "data.validation_split=train"])
    assert "data.validation_split: got 'train', which is trained on" in message


def test_a_split_that_is_not_there_is_named(capsys, corpus, tmp_path):
    assert "split 'trian'" in one_line_error(
        capsys, [*TINY, *corpus, f"output={tmp_path}", "data.train_split=trian"]
    )


def test_a_missing_manifest_is_named(capsys, tmp_path):
    message = one_line_error(capsys, [*TINY, "data.utterances=[nowhere.jsonl]", f"output={tmp_path}"])
    assert "nowhere.jsonl" in message


def test_no_other_random_state_than_torch_s_is_used(corpus, tmp_path):
    """The checkpoint keeps torch's random state only: NumPy's global one must not matter."""
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        options = [*TINY, *corpus, "trainer.max_steps=2", f"output={tmp_path / str(seed)}"]
        assert main(["train", *options]) == 0
    one, other = weights(tmp_path / "1"), weights(tmp_path / "2")
    assert all(torch.equal(one[name], other[name]) for name in one)
