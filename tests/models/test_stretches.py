"""The mean over several speeds: in step with the mixture, in one order, and nearer to the talkers than its parts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from cse.building import instantiate
from cse.checkpoint import save_checkpoint
from cse.errors import CheckpointError
from cse.extractor import Extractor
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.models.stretches import at_stretches, stretches_of

RATE = 16000
TIME_S = np.arange(2 * RATE) / RATE
LOW, HIGH = (0.4 * np.sin(2 * np.pi * hz * TIME_S).astype(np.float32) for hz in (300.0, 2000.0))


def by_frequency(mixture: np.ndarray) -> np.ndarray:
    """Below and above 1 kHz."""
    spectrum = np.fft.rfft(mixture)
    low = np.fft.rfftfreq(len(mixture), 1 / RATE) < 1000
    return np.stack([np.fft.irfft(spectrum * keep, len(mixture)) for keep in (low, ~low)]).astype(np.float32)


def error_db(estimate: np.ndarray, target: np.ndarray) -> float:
    inside = slice(RATE // 10, -RATE // 10)  # the ends of a tone are no tone
    return float(10 * np.log10(np.mean((estimate - target)[inside] ** 2) / np.mean(target[inside] ** 2)))


@pytest.mark.parametrize("stretches", [(1.0, 1.1), (1.0, 0.9, 1.25), (1.1,)])
def test_talkers_stay_in_step_and_at_their_level(stretches):
    low, high = at_stretches(by_frequency, stretches)(LOW + HIGH)
    assert low.shape == LOW.shape
    assert error_db(low, LOW) < -30
    assert error_db(high, HIGH) < -30


def test_a_single_pass_is_left_as_it_is():
    assert at_stretches(by_frequency, (1.0,)) is by_frequency


def test_talkers_who_come_out_in_another_order_are_recognised():
    lengths = []

    def turned_round(mixture: np.ndarray) -> np.ndarray:
        lengths.append(len(mixture))
        return by_frequency(mixture)[:: -1 if len(lengths) % 2 == 0 else 1]

    low, high = at_stretches(turned_round, (1.0, 1.1, 0.9))(LOW + HIGH)
    assert lengths == [2 * RATE, round(2.2 * RATE), round(1.8 * RATE)]
    assert error_db(low, LOW) < -30
    assert error_db(high, HIGH) < -30


def test_what_goes_wrong_at_one_speed_only_is_halved():
    noise = np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)

    def noisy(mixture: np.ndarray) -> np.ndarray:
        leak = 0.1 * noise[len(mixture) % 1000 :][: len(mixture)]
        return by_frequency(mixture) + np.stack([leak, -leak])

    once = error_db(noisy(LOW + HIGH)[0], LOW)
    twice = error_db(at_stretches(noisy, (1.0, 1.1))(LOW + HIGH)[0], LOW)
    assert once - 5.0 < twice < once - 2.0


@pytest.mark.parametrize("wrong", ["1.1", [], [1, 1, 1, 1, 1], [0.1], [None], {"a": 1}])
def test_a_checkpoint_that_says_something_else_is_refused(wrong):
    with pytest.raises(CheckpointError, match="tiny: got stretches .*expected a list of one to 4 factors"):
        stretches_of({"stretches": wrong}, "tiny")
    assert stretches_of({}, "tiny") == (1.0,)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A folder with a separator that asks for two speeds."""
    monkeypatch.setattr(
        "cse.extractor._chooser", lambda **_: SimpleNamespace(voice_comparison=lambda _: None)
    )
    config = {
        "_target_": "cse.models.separator.Separator",
        "sample_rate": RATE,
        "filterbank": {"_target_": "cse.models.filterbanks.STFTFilterbank", "channels": 34, "hop_size": 8},
        "backbone": {
            "_target_": "cse.models.backbones.conv_tasnet.ConvTasNet",
            "channels": 34, "talkers": 2, "bottleneck": 2, "hidden": 2, "blocks": 1, "repeats": 1,
        },
    }  # fmt: skip
    state = instantiate(config).state_dict()
    save_checkpoint(tmp_path / "m", {"name": "m", "model": config, "stretches": [1.0, 1.25]}, state, "# m")
    return tmp_path / "m"


def test_the_checkpoint_says_at_which_speeds_and_quick_leaves_them_out(tiny):
    heard = []
    for quick in (False, True):
        method = Extractor.from_pretrained(tiny, quick=quick).method
        assert isinstance(method, SeparateThenChoose)
        method.separator.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0].shape[-1]))
        assert method.separate(LOW + HIGH, None).shape == (2, len(LOW))
        if not quick:
            assert method.separate(LOW + HIGH, None, quick=True).shape == (2, len(LOW)), "a stream's way"
    assert heard == [2 * RATE, round(2.5 * RATE), 2 * RATE, 2 * RATE]
