"""The inference path of models that are told while they listen, with a model that is known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cse.audio import Recording
from cse.building import instantiate
from cse.checkpoint import save_checkpoint
from cse.errors import ConfigError, MissingCueError
from cse.extractor import Extractor
from cse.history import Turn
from cse.inference.method import Runtime
from cse.inference.separate_then_choose import SeparateThenChoose
from cse.inference.under_cues import UnderCues
from cse.models.backbones.conv_tasnet import ConvTasNet
from cse.models.cont_ext import ContExt
from cse.models.contsep import ContSep
from cse.models.cues.cue import Cue
from cse.models.cues.frozen_speaker import FrozenSpeakerEncoder
from cse.models.cues.joint_speaker import JointSpeakerEncoder
from cse.models.cues.speaker import SpeakerCue, SpeakerEncoder
from cse.models.filterbanks import STFTFilterbank
from cse.models.selectors.fixed_slot import FixedSlotSelector
from cse.models.selectors.selector import Heard, Judgement, Selector, against_nobody
from cse.models.separator import Separator
from cse.models.target_extractor import Voices
from cse.testing.models import SAMPLE_RATE, SplitByFrequency, ToldChooser, ToneVoice

RATE = SAMPLE_RATE


class SaysWhich(nn.Module):
    """A text cue that reads nothing: "low" and "high" in the turns are the two numbers of its token."""

    width, tokens = 2, 1

    def __init__(self) -> None:
        super().__init__()
        self.pooling = nn.Module()
        self.pooling.max_turns = 10  # type: ignore[assignment]

    def forward(self, histories: list[list[Turn]], next_speakers: list[str | None]) -> Cue:
        counts = [
            [sum(word in turn.text for turn in turns) for word in ("low", "high")] for turns in histories
        ]
        return Cue.of(
            torch.tensor(counts, dtype=torch.float32).unsqueeze(1),
            torch.tensor([[bool(h)] for h in histories]),
        )


class ByPitch(Selector):
    """Takes the voice that the cue names: the one with more zero crossings is the high one."""

    times_heard = 0

    def hear(self, voices: Tensor, slots: Tensor | None) -> Heard:
        self.times_heard += 1
        crossings = (voices[..., 1:] * voices[..., :-1] < 0).float().mean(-1)
        return ((crossings == crossings.amax(1, keepdim=True)).float(),)

    def compare(self, heard: Heard, cues: Sequence[Cue]) -> Judgement:
        (high,) = heard
        low_wanted, high_wanted = cues[0].tokens[:, 0].unbind(-1)
        return Judgement(
            against_nobody(5 * (high * high_wanted[:, None] + (1 - high) * low_wanted[:, None]) - 2)
        )


def model(kind: type[ContSep] | type[ContExt]) -> ContSep | ContExt:
    split = SplitByFrequency()
    built = kind(
        filterbank=split.filterbank,
        backbone=split.backbone,
        text_cue=SaysWhich(),  # type: ignore[arg-type]
        selector=ByPitch(),
        sample_rate=RATE,
    )
    built.separate = lambda mixture, **_: Voices(split(mixture))  # type: ignore[method-assign]
    return built


def extractor(kind: type[ContSep] | type[ContExt], runtime: Runtime | None = None) -> Extractor:
    return Extractor(method=UnderCues(model=model(kind), runtime=runtime), name="known")


def tones(seconds: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.3 * np.sin(2 * np.pi * 300 * time), 0.1 * np.sin(2 * np.pi * 2500 * time)


both = pytest.mark.parametrize("kind", [ContSep, ContExt])


@both
@pytest.mark.parametrize("wanted", [0, 1])
def test_the_history_decides_and_the_voice_has_its_level_in_the_mixture(kind, wanted):
    voices = tones()
    history = [Turn("hello"), Turn("the low one" if wanted == 0 else "the high one")]
    result = extractor(kind).extract(sum(voices), history, sample_rate=RATE)
    assert np.allclose(result.waveform, voices[wanted], atol=0.02)
    assert result.probability > 0.8
    assert result.target_present and not result.abstained
    assert len(result.candidates) == (2 if kind is ContSep else 1)
    assert result.turn_attribution[0] == 0.0
    assert result.turn_attribution[1] > 2.0


@both
def test_nobody_is_said_and_can_be_silence(kind):
    voices = tones()
    result = extractor(kind).extract(sum(voices), [Turn("neither")], sample_rate=RATE, on_absent="silence")
    assert not result.target_present
    assert not result.waveform.any()
    assert result.waveform.shape == voices[0].shape


@both
def test_long_recordings_are_judged_as_a_whole_and_come_out_whole(kind):
    low, high = tones(5.0)
    low[: 2 * RATE] = 0.0  # the low voice begins in the second window
    runtime = Runtime(window_s=2.0, overlap_s=0.5)
    result = extractor(kind, runtime).extract(low + high, [Turn("low")], sample_rate=RATE)
    assert result.waveform.shape == low.shape
    assert np.corrcoef(result.waveform, low)[0, 1] > 0.95


@pytest.mark.parametrize("outputs", [1, 2])
def test_scores_of_masks_go_with_their_voices_from_window_to_window(outputs):
    """From the second window on, the high voice comes out of the first mask, and the prompt says so."""
    low, high = tones(5.0)
    built, split, windows = model(ContSep), SplitByFrequency(), []
    built.selector = FixedSlotSelector(width=outputs, talkers=2, outputs=outputs).requires_grad_(False)
    built.selector.scores.weight.copy_(torch.eye(outputs))
    built.selector.scores.bias.zero_()

    def separate(mixture: Tensor, **_: Cue) -> Voices:
        low_at = int(len(windows) > 0)
        windows.append(mixture)
        prompt = [3.0, -3.0][:: 1 - 2 * low_at] if outputs == 2 else [6.0 * low_at - 3.0]
        voices = split(mixture).flip(1) if low_at else split(mixture)
        return Voices(voices, built.selector.slot_scores(torch.tensor([[prompt]])))

    built.separate = separate  # type: ignore[method-assign]
    method = UnderCues(model=built, runtime=Runtime(window_s=2.0, overlap_s=0.5))
    result = Extractor(method=method, name="known").extract(low + high, [Turn("low")], sample_rate=RATE)
    assert len(windows) > 2
    assert np.corrcoef(result.waveform, low)[0, 1] > 0.95
    assert result.probability > 0.9


def test_voices_are_heard_once_however_many_turns_are_attributed():
    method = UnderCues(model=model(ContSep))
    history = [Turn("low"), Turn("hello"), Turn("high"), Turn("low")]
    result = Extractor(method=method, name="known").extract(sum(tones()), history, sample_rate=RATE)
    low, nothing, high, low_again = result.turn_attribution
    assert low == low_again > 2 and nothing == 0 and high < -2
    assert method.model.selector.times_heard == 1


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_gives_nearly_the_same_voice_and_is_left_out_where_it_would_be_slow(monkeypatch, supported):
    monkeypatch.setattr("cse.inference.method.has_bfloat16", lambda: supported)
    torch.manual_seed(0)
    net = ConvTasNet(channels=34, talkers=2, bottleneck=8, hidden=16, blocks=2, repeats=1)
    separator = Separator(filterbank=STFTFilterbank(channels=34, hop_size=8), backbone=net, sample_rate=RATE)
    low, high = tones()
    waveforms = []
    for precision in ("float32", "bfloat16"):
        method = SeparateThenChoose(
            separator=separator, chooser=ToldChooser(), runtime=Runtime(precision=precision)
        )  # type: ignore[arg-type]
        result = Extractor(method=method, name="tiny").extract(low + high, [Turn("Hi")], sample_rate=RATE)
        waveforms.append(result.waveform)
    exact, quick = waveforms
    error = np.square(exact - quick).sum() / np.square(exact).sum()
    assert (0 < error < 1e-3) if supported else error == 0
    assert quick.dtype == np.float32


def test_another_rate_goes_in_and_comes_out():
    time = np.arange(44100) / 44100
    mixture = 0.3 * np.sin(2 * np.pi * 300 * time) + 0.1 * np.sin(2 * np.pi * 2500 * time)
    result = extractor(ContExt).extract(mixture, [Turn("low")], sample_rate=44100)
    assert (result.sample_rate, result.waveform.shape) == (44100, mixture.shape)


def test_an_enrollment_that_the_model_cannot_use_is_said():
    low, high = tones()
    result = extractor(ContSep).extract(low + high, [Turn("low")], sample_rate=RATE, enrollment=high)
    assert any("takes no enrollment" in warning for warning in result.warnings)
    with pytest.raises(MissingCueError, match="chooses by the history alone"):
        extractor(ContSep).extract(low + high, sample_rate=RATE, enrollment=high)


def test_an_empty_history_is_a_guess_and_says_so():
    result = extractor(ContSep).extract(sum(tones()), [], sample_rate=RATE)
    assert any("guess" in warning for warning in result.warnings)


def test_parts_of_the_cascade_are_refused(tmp_path):
    words = {
        "_target_": "cse.models.listeners.words.WordListener",
        "cue_width": 4,
        "sample_rate": RATE,
        "hidden": 4,
    }
    encoder = {
        "_target_": "cse.encoders.text.TextEncoder",
        "source": "never loaded",
        "width": 4,
        "max_tokens": 8,
    }
    pooling = {"_target_": "cse.models.cues.pooling.turns.Turns", "max_turns": 2, "width": 4}
    config = {
        "_target_": "cse.models.contsep.ContSep",
        "sample_rate": RATE,
        "filterbank": {"_target_": "cse.models.filterbanks.STFTFilterbank", "channels": 34, "hop_size": 8},
        "backbone": {
            "_target_": "cse.models.backbones.conv_tasnet.ConvTasNet",
            "channels": 34, "talkers": 2, "bottleneck": 2, "hidden": 2, "blocks": 1, "repeats": 1,
        },
        "text_cue": {"_target_": "cse.models.cues.text.TextCue", "encoder": encoder, "pooling": pooling},
        "selector": {"_target_": "cse.models.selectors.listening.ListeningSelector", "listener": words},
    }  # fmt: skip
    state = instantiate(config).state_dict()
    save_checkpoint(tmp_path / "m", {"name": "m", "model": config}, state, "# m")
    with pytest.raises(ConfigError, match="got a scorer, expected none: a ContSep chooses by itself"):
        Extractor.from_pretrained(tmp_path / "m", scorer="folder")


class NamedToneVoice(ToneVoice):
    name = "ecapa"


def with_speaker_cue(encoder: SpeakerEncoder, embedding_size: int) -> UnderCues:
    built = model(ContSep)
    built.speaker_cue = SpeakerCue(encoder=encoder, embedding_size=embedding_size, width=2)
    return UnderCues(model=built)


def test_a_speaker_embedding_gives_the_cue_of_its_recording():
    method = with_speaker_cue(FrozenSpeakerEncoder(voice=NamedToneVoice, sample_rate=RATE), 16)
    recording = Recording(waveform=tones()[0], sample_rate=RATE, name="voice")
    embedding = method.embed_voice(recording)
    cue, expected = method._speaker(embedding), method._speaker(recording)
    assert cue is not None and expected is not None
    torch.testing.assert_close(cue.tokens, expected.tokens)
    assert torch.equal(cue.mask, expected.mask)
    with pytest.raises(ConfigError, match="of the voice encoder other-1, expected one of tones-1"):
        method._speaker(replace(embedding, encoder="other-1"))


def test_embeddings_of_a_speaker_encoder_of_its_own_are_not_kept():
    own = with_speaker_cue(JointSpeakerEncoder(sample_rate=RATE, embedding_size=4, hidden=4), 4)
    recording = Recording(waveform=tones()[0], sample_rate=RATE, name="voice")
    with pytest.raises(ConfigError, match="has a speaker encoder of its own"):
        own.embed_voice(recording)
    with pytest.raises(ConfigError, match="has no speaker encoder"):
        UnderCues(model=model(ContSep)).embed_voice(recording)
