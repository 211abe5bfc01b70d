"""`cse train` on a made-up corpus: it learns, resumes exactly, runs on two processes, and explains what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from cse.building import instantiate
from cse.checkpoint import load_checkpoint, load_state, save_checkpoint
from cse.cli import main
from cse.cli.config import call, compose, plain
from cse.cli.train import _data, _options, _schema
from cse.testing.corpus import write_utterances
from cse.training.dialogue_mixtures import DialogueConfig
from cse.training.objectives.separation import Separation
from cse.training.stopping import StopTogether

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
    learning = [
        option.replace("optimizer.learning_rate=0.0", "optimizer.weight_decay=0.01") for option in frozen
    ]
    trained = [*learning, start, f"output={tmp_path / 'trained'}"]
    assert main(["train", *trained, "trainer.max_steps=2"]) == 0
    before = weights(tmp_path / "trained")
    assert any(not torch.equal(first[name], before[name]) for name in first)
    assert main(["train", *trained, "trainer.max_steps=2"]) == 0, "nothing is left to do"
    resumed = weights(tmp_path / "trained")
    assert all(torch.equal(before[name], resumed[name]) for name in before)
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
    at_six = []
    for steps in (3, 6, 6, 7):  # the second time there is nothing left to do
        assert main(["train", *options, f"output={tmp_path / 'parts'}", f"trainer.max_steps={steps}"]) == 0
        if steps == 6:
            at_six.append(weights(tmp_path / "parts"))
    assert all(torch.equal(tensor, at_six[1][name]) for name, tensor in at_six[0].items())
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name in whole:
        assert torch.equal(whole[name], parts[name]), name


def test_a_run_that_was_stopped_after_a_validation_drops_out_the_same(corpus, tmp_path):
    sepformer = [
        "backbone=sepformer", "++backbone.width=8", "+backbone.layers=1", "+backbone.repeats=1", "+backbone.heads=2",
        "+backbone.feed_forward=8", "+backbone.chunk_size=20", "+backbone.dropout=0.3",
    ]  # fmt: skip
    others = [one for one in TINY if not one.startswith(("+backbone", "data.steps", "data.validation_m"))]
    options = [
        *others, *sepformer, *corpus, "data.steps_per_epoch=1", "data.validation_mixtures=1",
        "trainer.checkpoint_every_steps=1", "optimizer.total_steps=2",
    ]  # fmt: skip
    assert main(["train", *options, f"output={tmp_path / 'whole'}", "trainer.max_steps=2"]) == 0
    for steps in (1, 2):
        assert main(["train", *options, f"output={tmp_path / 'parts'}", f"trainer.max_steps={steps}"]) == 0
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for name in whole:
        assert torch.equal(whole[name], parts[name]), name


@pytest.mark.parametrize("extra", [[], ["trainer.ema_decay=0.5"]], ids=["plain", "ema"])
def test_the_card_has_the_results_of_the_weights_beside_it(corpus, tmp_path, extra):
    others = [one for one in TINY if not one.startswith("data.steps_per_epoch")]
    options = [*others, *corpus, *extra, "data.steps_per_epoch=2", "optimizer.learning_rate=0.05", "output=x"]
    assert main(["train", *options, f"output={tmp_path}", "trainer.max_steps=3"]) == 0
    checkpoint = load_checkpoint(tmp_path / "model")
    model = instantiate(checkpoint.config["model"]).eval()
    load_state(model, checkpoint.state)
    composed = _options([*options, "trainer.max_steps=3"], _schema())
    data = _data(composed["data"], _schema())
    with torch.inference_mode():
        found = [Separation().measure(model, batch)["si_sdri_db"] for batch in data.val_dataloader()]
    assert f"si_sdri_db {torch.cat(found).mean():.2f}; n = 5" in checkpoint.card


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


def test_a_process_that_is_told_to_stop_waits_until_all_know(monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda number, handler: handlers.update({number: handler}))
    handlers: dict[int, Callable[..., None]] = {}
    told = []

    def any_of_them(decision: bool, *, all: bool) -> bool:
        told.append(decision)
        return decision or len(told) == 3  # the other one is told later

    trainer = SimpleNamespace(world_size=2, strategy=SimpleNamespace(reduce_boolean_decision=any_of_them))
    first, second = StopTogether(), StopTogether()
    for stop in (first, second):
        stop.on_train_start(trainer, None)
        stop.on_train_batch_start(trainer, None, None, 0)
    with pytest.raises(KeyboardInterrupt):
        first.on_train_batch_start(trainer, None, None, 1)
    handlers[signal.SIGTERM](signal.SIGTERM, None)  # says nothing to anybody
    assert told == [False, False, False]
    with pytest.raises(KeyboardInterrupt):
        second.on_train_batch_start(trainer, None, None, 1)
    assert told[-1] is True


@pytest.mark.slow
def test_two_processes_that_are_told_to_stop_at_once_do(corpus, tmp_path):
    options = [
        *TINY,
        *corpus,
        f"output={tmp_path}",
        "trainer.max_steps=100000",
        "trainer.checkpoint_every_steps=2",
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "cse", "train", *options, "trainer.devices=2", "trainer.strategy=ddp"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    ) as process:
        try:
            deadline = time.monotonic() + 120
            while not (tmp_path / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
                time.sleep(0.2)
            os.killpg(process.pid, signal.SIGTERM)
            message = process.communicate(timeout=60)[1]
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert message.endswith("cse train: interrupted\n")


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


def test_silent_talkers_are_refused_where_the_objective_cannot_take_them(capsys, corpus, tmp_path):
    options = [*TINY, *corpus, f"output={tmp_path}", "trainer.max_steps=1"]
    message = one_line_error(capsys, [*options, "data.mixing.count_weights=[1,1]"])
    assert "data.mixing.count_weights: got [1.0, 1.0], with which talkers are silent" in message
    assert "not Separation; take objective=unknown_count" in message
    assert main(["train", *options, "data.mixing.count_weights=[1,1]", "objective=unknown_count"]) == 0


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


# ---- whose run it is


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory) -> Path:
    """A run of two steps."""
    output = tmp_path_factory.mktemp("run") / "run"
    assert main(["train", *TINY, *corpus, f"output={output}", "trainer.max_steps=2"]) == 0
    return output


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("name=other", "name"),
        ("seed=1", "seed"),
        ("optimizer.learning_rate=0.5", "optimizer.learning_rate"),
        ("+backbone.hidden=48", "model.backbone.hidden"),
        ("talkers=3", "talkers"),
        ("data.mixing.segment_s=0.6", "data.mixing.segment_s"),
        ("data.train_split=dev data.validation_split=train", "data.utterances"),
        ("trainer.init_from=[separator-16k]", "trainer.init_from"),
    ],
)
def test_another_run_is_not_taken_for_this_one(capsys, corpus, run, option, named):
    before = (run / "model" / "config.json").read_bytes()
    given = {part.partition("=")[0] for part in option.split()}
    options = [one for one in [*TINY, *corpus] if one.partition("=")[0] not in given]
    capsys.readouterr()
    message = one_line_error(capsys, [*options, *option.split(), f"output={run}", "trainer.max_steps=4"])
    assert f"output {run}: holds a run made with other values of " in message and named in message
    assert (run / "model" / "config.json").read_bytes() == before


def test_a_run_goes_on_elsewhere_longer_and_with_defaults_written_out(capsys, corpus, run, tmp_path):
    moved = tmp_path / "moved"
    folder = Path(corpus[1].partition("=")[2]).parent
    shutil.copytree(folder, moved, ignore=shutil.ignore_patterns("cache"))
    shutil.copytree(run, tmp_path / "run")
    manifests = ",".join(str(moved / split / "utterances.jsonl") for split in ("train", "dev"))
    options = [
        *TINY, f"data.utterances=[{manifests}]", f"data.cache_dir={tmp_path / 'cache'}", f"output={tmp_path / 'run'}",
        "trainer.max_steps=3", "optimizer.total_steps=9", "trainer.checkpoint_every_steps=1", "data.workers=1",
        "optimizer.learning_rate=1e-3", "+backbone.kernel_size=3", "data.mixing.max_shift_s=1.0",
    ]  # fmt: skip
    assert main(["train", *options]) == 0
    assert "3 steps" in load_checkpoint(tmp_path / "run" / "model").card
    capsys.readouterr()


def test_a_finished_run_is_left_as_it_is_unless_its_model_is_another_one_s(corpus, run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    model = tmp_path / "run" / "model"
    options = [*TINY, *corpus, f"output={tmp_path / 'run'}", "trainer.max_steps=2"]
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in model.iterdir()}
    assert main(["train", *options]) == 0
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in model.iterdir()} == before
    checkpoint = load_checkpoint(model)  # as if the run had been longer than when it was written
    earlier = {name: tensor + 1 for name, tensor in checkpoint.state.items()}
    save_checkpoint(model, checkpoint.config, earlier, "earlier")
    assert main(["train", *options]) == 0
    assert {path.name: path.read_bytes() for path in model.iterdir()} == {
        name: content for name, (content, _) in before.items()
    }


def test_a_run_of_an_earlier_version_goes_on_where_new_options_have_their_defaults(
    capsys, corpus, run, tmp_path
):
    shutil.copytree(run, tmp_path / "run")
    options = [*TINY, *corpus, f"output={tmp_path / 'run'}", "trainer.max_steps=2"]
    record = json.loads((run / "run.json").read_text())
    new = [
        "data.mixing.shift_probability", "data.mixing.bank", "model.backbone.kernel_size", "objective.max_si_snr_db",
        "optimizer.amsgrad", "trainer.gradient_clip",
    ]  # fmt: skip
    assert set(new) <= record.keys()
    earlier = {key: value for key, value in record.items() if key not in new}
    (tmp_path / "run" / "run.json").write_text(json.dumps(earlier))
    assert main(["train", *options]) == 0
    capsys.readouterr()
    assert "of data.mixing.shift_probability;" in one_line_error(
        capsys, [*options, "data.mixing.shift_probability=0.5"]
    )
    (tmp_path / "run" / "run.json").write_text(json.dumps({**earlier, "objective.of_old": 1}))
    assert main(["train", *options]) == 0, "what an earlier version knew and this one does not"
    with_parts = {key: value for key, value in record.items() if key != "trainer.ema_decay"}
    with_parts["trainer.ema_decay.of"] = 0.9  # as of a network with a part where this one has none
    (tmp_path / "run" / "run.json").write_text(json.dumps(with_parts))
    capsys.readouterr()
    assert "of trainer.ema_decay;" in one_line_error(capsys, options)


@pytest.mark.parametrize("supported", [True, False])
def test_a_processor_without_bfloat16_trains_in_float32(monkeypatch, capsys, corpus, tmp_path, supported):
    """torch would convert at every product, which took 9.5 times as long."""
    monkeypatch.setattr("cse.training.train.has_bfloat16", lambda: supported)
    options = ["trainer.max_steps=1", "trainer.precision=bf16-mixed", "trainer.accelerator=cpu"]
    with patch("pytorch_lightning.Trainer", wraps=pl.Trainer) as made:
        assert main(["train", *TINY, *corpus, f"output={tmp_path}", *options]) == 0
    assert made.call_args.kwargs["precision"] == ("bf16-mixed" if supported else "32-true")
    capsys.readouterr()


def test_options_of_a_run_that_never_began_bind_nobody(capsys, corpus, tmp_path):
    options = [*TINY, *corpus, f"output={tmp_path}", "trainer.max_steps=1"]
    assert main(["train", *options, "trainer.precision=foo", "seed=3"]) == 2
    assert main(["train", *options, "seed=4"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("damage", ["garbage", "cut", "another network"])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_one_line(capsys, corpus, run, tmp_path, damage):
    shutil.copytree(run, tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    options = TINY
    if damage == "garbage":
        last.write_bytes(b"garbage")
    elif damage == "cut":
        last.write_bytes(last.read_bytes()[:-2000])
    else:  # of a version that left no record
        (tmp_path / "run" / "run.json").unlink()
        options = [option.replace("hidden=32", "hidden=48") for option in TINY]
    capsys.readouterr()
    message = one_line_error(capsys, [*options, *corpus, f"output={tmp_path / 'run'}", "trainer.max_steps=4"])
    assert f"{last}: " in message
    assert ("another network" if damage == "another network" else "copy a step") in message


# ---- options that cannot be


@pytest.mark.parametrize(
    "option",
    [
        "data.batch_size=0", "data.steps_per_epoch=0", "data.validation_mixtures=0", "data.mixing.segment_s=-1",
        "data.mixing.segment_s=0.00001", "data.validation_segment_s=0", "data.workers=-1",
        "data.mixing.noise_probability=0.5", "trainer.precision=foo", "trainer.strategy=foo", "trainer.max_steps=0",
        "trainer.checkpoint_every_steps=0", "optimizer.learning_rate=-1", "seed=-1", "seed=abc",
    ],
)  # fmt: skip
def test_values_that_cannot_be_are_one_line(capsys, corpus, tmp_path, option):
    key = option.partition("=")[0]
    options = [one for one in [*TINY, *corpus, "trainer.max_steps=1"] if one.partition("=")[0] != key]
    message = one_line_error(capsys, [*options, option, f"output={tmp_path}"])
    assert key.rpartition(".")[2].removesuffix("_probability") in message.lower()
    assert not (tmp_path / "model").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_one_line(capsys, corpus, tmp_path):
    options = [one for one in TINY if not one.startswith("trainer.accelerator")]
    options += [*corpus, f"output={tmp_path}", "trainer.max_steps=1", "trainer.accelerator=gpu"]
    assert "gpu" in one_line_error(capsys, options)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc, where nobody may make folders")
@pytest.mark.parametrize("option", ["output=/proc/x", "data.cache_dir=/proc/c"])
def test_folders_that_cannot_be_made_are_one_line(capsys, corpus, tmp_path, option):
    key = option.partition("=")[0]
    options = [one for one in [*TINY, *corpus, f"output={tmp_path}"] if one.partition("=")[0] != key]
    assert main(["train", *options, option, "trainer.max_steps=1"]) == 2
    err = capsys.readouterr().err
    assert option.partition("=")[2] in err and "Traceback" not in err


def test_an_output_that_is_a_file_is_one_line(capsys, corpus, tmp_path):
    (tmp_path / "file").write_text("mine")
    options = [*TINY, *corpus, f"output={tmp_path / 'file'}", "trainer.max_steps=1"]
    assert "cannot make the folder" in one_line_error(capsys, options)
    assert (tmp_path / "file").read_text() == "mine"


# ---- randomness


def test_no_other_random_state_than_torch_s_is_used(corpus, tmp_path):
    """The checkpoint keeps torch's random state only: NumPy's global one must not matter."""
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        options = [*TINY, *corpus, "trainer.max_steps=2", f"output={tmp_path / str(seed)}"]
        assert main(["train", *options]) == 0
    one, other = weights(tmp_path / "1"), weights(tmp_path / "2")
    assert all(torch.equal(one[name], other[name]) for name in one)
