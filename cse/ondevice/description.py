"""What an exported file says of itself: JSON among its metadata, under the key `cse`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, get_args

from cse.errors import CheckpointError, one_line

FORMAT = 1
KEY = "cse"

Kind = Literal["separator", "extractor"]
Precision = Literal["float32", "float16", "int8"]


@dataclass(frozen=True, kw_only=True)
class Description:
    """All that is needed to run an exported model, beside its graph.

    Attributes:
        kind: A `separator` takes `mixture` (1, T) and returns `estimates` (1, S, T). An `extractor` takes cues too, and
            returns `voices` (1, S, T) and `logits` (1, S + 1): log-odds, up to a common constant, of each voice being
            meant and at last of nobody being meant.
        name: Of the checkpoint.
        sample_rate: Of mixture and voices, in Hz.
        talkers: Number of voices S.
        precision: Of the weights; all samples are float32.
        weights_sha256: That of the checkpoint's weights.
        peak: The graph is given mixtures with a mean of 0 and this peak, as in training; voices have any level.
        window_s: Longer recordings are separated in windows of at most so many seconds,
        overlap_s: which share so many.
        text_tokens: K tokens of the input `text` (1, K, D), the newest last, with `text_mask` (1, K) bool; 0 for none.
        text_width: Its D.
        embedding_size: E of the input `speaker` (1, E), with `speaker_mask` (1,) bool; 0 for none.
        max_turns: How many of the last turns are in the text cue.
        combines: Whether the voice is the sum of all, weighed by how likely each is meant, rather than the likeliest.
        thresholds: By which talkers are told from silence and followed, for programs that are not in Python; see
            `cse.ondevice.thresholds`.
        filterbank: How the graph looks at the samples, e.g. its window and hop; only to inform.
        calibration: As `cse.selection.calibration.Calibration.to_dict` writes it.

    >>> about = Description(kind="separator", name="a", sample_rate=8000, talkers=2, weights_sha256="0" * 64)
    >>> Description.from_metadata(about.to_metadata()) == about
    True
    """

    kind: Kind
    name: str
    sample_rate: int
    talkers: int
    weights_sha256: str
    precision: Precision = "float32"
    peak: float = 0.9
    window_s: float = 20.0
    overlap_s: float = 4.0
    text_tokens: int = 0
    text_width: int = 0
    embedding_size: int = 0
    max_turns: int = 0
    combines: bool = False
    thresholds: Mapping[str, float] = field(default_factory=dict)
    filterbank: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] | None = None

    def to_metadata(self) -> dict[str, str]:
        """Entries for the metadata of an ONNX file."""
        return {KEY: json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, allow_nan=False)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self:
        """Read the entry back.

        Raises:
            CheckpointError: It is not there, of another format, or not whole.
        """
        if KEY not in metadata:
            raise CheckpointError(
                f'got an ONNX file without metadata "{KEY}", expected one of `cse export onnx`'
            )
        try:
            values = json.loads(metadata[KEY])
            found = values.pop("format")
            if found != FORMAT:
                raise CheckpointError(
                    f"got format {found!r}, expected {FORMAT}; use the version of cse that exported it"
                )
            described = cls(**values)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise CheckpointError(
                f'its metadata "{KEY}" cannot be read: {one_line(error)}; export the model anew'
            ) from error
        counts = (described.sample_rate, described.talkers)
        if described.kind not in get_args(Kind) or not all(
            type(count) is int and count > 0 for count in counts
        ):
            raise CheckpointError(
                f"got kind {described.kind!r}, {described.talkers!r} talkers at {described.sample_rate!r} Hz, "
                f"expected {' or '.join(get_args(Kind))} with talkers and a sample rate; export the model anew"
            )
        return described
