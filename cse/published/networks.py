"""The published networks as configs of ours."""

from __future__ import annotations

from typing import Any

from cse.errors import CheckpointError
from cse.published.sizes import Sizes

SAMPLE_RATE_HZ = 8000
ENROLLMENT_RATE_HZ = 16000  # the authors embed voices at the rate that ECAPA-TDNN was trained with
HEADS = 8
CHUNK_SIZE = 250
MAX_TURNS = 100
"""The most turns of history that the DailyTalk networks were trained with (SpokenWOZ 150, TED-LIUM 3 200)."""
LANGUAGE_MODEL = "hf://meta-llama/Meta-Llama-3-8B"
LANGUAGE_MODEL_TOKENS = 8192
SPEAKER_ENCODER = "hf://speechbrain/spkrec-ecapa-voxceleb"


def published_config(sizes: Sizes) -> dict[str, Any]:
    """Say how to build ours of one published network; pretrained encoders are named, and not looked for.

    Raises:
        CheckpointError: If there was no such network.
    """
    if sizes.width % HEADS:
        raise CheckpointError(
            f"got a width of {sizes.width}, expected a multiple of the {HEADS} attention heads"
        )
    config: dict[str, Any] = {
        "sample_rate": SAMPLE_RATE_HZ,
        "filterbank": {
            "_target_": "cse.models.truncating_filterbank.TruncatingFilterbank",
            "channels": sizes.channels,
            "kernel_size": sizes.kernel_size,
            "stride": sizes.kernel_size // 2,
        },
        "backbone": _backbone(sizes),
    }
    if sizes.cue_width is None:
        return {"_target_": "cse.models.separator.Separator", **config}
    config["text_cue"] = _text_cue(sizes.cue_width)
    if sizes.selector_outputs is not None:
        config["selector"] = {
            "_target_": "cse.models.selectors.fixed_slot.FixedSlotSelector",
            "width": sizes.width,
            "talkers": sizes.talkers,
            "outputs": sizes.selector_outputs,
        }
        return {"_target_": "cse.models.contsep.ContSep", **config}
    config["selector"] = {"_target_": "cse.models.selectors.first.FirstVoice"}
    if sizes.embedding_size is not None:
        config["speaker_cue"] = _speaker_cue(sizes.embedding_size, sizes.cue_width)
        return {"_target_": "cse.models.h_cont_ext.HContExt", **config}
    return {"_target_": "cse.models.cont_ext.ContExt", **config}


def _backbone(sizes: Sizes) -> dict[str, Any]:
    config = {
        "_target_": "cse.models.backbones.sepformer.SepFormer",
        "channels": sizes.channels,
        "talkers": sizes.talkers,
        "width": sizes.width,
        "layers": sizes.layers,
        "repeats": sizes.repeats,
        "heads": HEADS,
        "feed_forward": sizes.feed_forward,
        "chunk_size": CHUNK_SIZE,
    }
    if sizes.cue_width is None:
        return config
    prompt = {"_target_": "cse.models.fusion.prompt.Prompt", "_partial_": True}
    return {**config, "fusion": prompt, "cue_width": sizes.cue_width}


def _text_cue(width: int) -> dict[str, Any]:
    return {
        "_target_": "cse.models.cues.text.TextCue",
        "encoder": {
            "_target_": "cse.encoders.text.TextEncoder",
            "source": LANGUAGE_MODEL,
            "width": width,
            "max_tokens": LANGUAGE_MODEL_TOKENS,
            "dtype": "float16",
        },
        "pooling": {"_target_": "cse.models.cues.pooling.published.PublishedContext", "max_turns": MAX_TURNS},
    }


def _speaker_cue(embedding_size: int, width: int) -> dict[str, Any]:
    return {
        "_target_": "cse.models.cues.speaker.SpeakerCue",
        "embedding_size": embedding_size,
        "width": width,
        "encoder": {
            "_target_": "cse.models.cues.frozen_speaker.FrozenSpeakerEncoder",
            "sample_rate": ENROLLMENT_RATE_HZ,
            "voice": {
                "_target_": "cse.encoders.raw_ecapa.RawEcapaEncoder",
                "_partial_": True,
                "model": SPEAKER_ENCODER,
            },
        },
    }
