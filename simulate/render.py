"""From clean utterances to mixtures on disk: `utterances.jsonl` -> `mixtures.jsonl` and audio.

Layout of the output folder:

    mixtures.jsonl                      written last: complete, or not there
    simulation.json                     options and corpus it was made from: nothing else is added to it
    audio/<index>-<utterance>/          one folder a mixture (`simulate.item`)
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tqdm import tqdm

from cse.engines.engine import Engine
from cse.engines.serial import Serial
from cse.errors import ConfigError, ManifestError
from cse.manifest import Mixture, Utterance, read_utterances, write_manifest
from simulate.bank import SETTINGS as BANK_SETTINGS
from simulate.bank import RirBank, Split
from simulate.checks import check_least, check_one_of
from simulate.item import ItemMaker
from simulate.lists import MixtureList
from simulate.plan import Plan, PlanConfig, Planner
from simulate.settings import claim_folder
from simulate.sound import Acoustics, SoundConfig

MANIFEST = "mixtures.jsonl"
_SETTINGS = "simulation.json"
_DRAWN = ("absent", "same_dialogue", "same_gender", "same_topic")  # probabilities that a list has no use for


@dataclass(frozen=True, kw_only=True)
class RenderConfig(PlanConfig, SoundConfig):
    """What the mixtures of a set are made of; what it shares with `PlanConfig` and `SoundConfig` means the same here.

    Attributes:
        split: Talkers are those of this split; null takes all utterances of the manifest.
        max_duration_s: Longer utterances are left out; null keeps all.
        limit: At most so many mixtures; null makes one for every target.
        list: File with one mixture a line (target interferer [interferer] snr [snr]), made as it stands there: talkers
            and min_history_turns do not count; null draws them.
        skip_missing: Leave out lines of the list whose utterances are not in the manifest.
        audio_format: File format, wav or flac (both 16 bit).

    Raises:
        ConfigError: A value outside of what is named here.
    """

    split: str | None = None
    max_duration_s: float | None = None
    limit: int | None = None
    list: Path | None = None
    skip_missing: bool = False
    audio_format: Literal["wav", "flac"] = "wav"

    def __post_init__(self) -> None:
        PlanConfig.__post_init__(self)
        SoundConfig.__post_init__(self)
        check_one_of("audio_format", self.audio_format, ("wav", "flac"))
        check_least("limit", self.limit, 1)
        if self.max_duration_s is not None and not self.max_duration_s > 0:
            raise ConfigError(f"max_duration_s: got {self.max_duration_s}, expected more than 0")
        for name in (f"{share}_probability" for share in _DRAWN):
            if self.list is not None and getattr(self, name):
                raise ConfigError(
                    f"{name}: got {getattr(self, name)} with a list, which says who talks; leave it out"
                )

    def rooms_of(self) -> Split | None:
        """The split of the bank whose rooms are taken; None takes all.

        Raises:
            ConfigError: The split of the utterances is none of a bank's, and no other is named.
        """
        if self.bank_split is not None or self.split is None:
            return self.bank_split
        for split in get_args(Split):
            if split == self.split:
                return split
        raise ConfigError(
            f"bank_split: got none with split={self.split}, expected {' or '.join(get_args(Split))}: whose rooms shall"
            " these talkers be in?"
        )


def render(
    utterances: str | os.PathLike[str],
    output: str | os.PathLike[str],
    config: RenderConfig,
    *,
    engine: Engine | None = None,
    progress: bool = True,
) -> Sequence[Mixture]:
    """Make a set of mixtures; those that are already complete in `output` are kept.

    Args:
        utterances: Manifest of clean speech.
        output: Folder for `mixtures.jsonl` and the audio; made where it does not exist.
        config: What to make.
        engine: Where; None is this process. The files are the same, wherever they are made.
        progress: Show a bar on stderr.

    Returns:
        The records of `mixtures.jsonl`, one for every utterance with enough history, by index.

    Raises:
        ManifestError: The manifest or the list is wrong, has too few talkers, or none with enough history.
        ConfigError: `output` holds mixtures of other options or another corpus; or no room or noise is to be
            had.
        InvalidAudioError: An utterance cannot be read or is silent; the message names the mixture.
    """
    plans, talkers = _plans(utterances, config)
    bank_split = None if config.bank is None else config.rooms_of()
    acoustics = Acoustics(config, bank_split=bank_split, talkers=talkers)
    folder = Path(output)
    settings = _settings(Path(utterances), acoustics, config)
    claim_folder(folder, _SETTINGS, settings, holds="mixtures")
    make = ItemMaker(folder, acoustics, config.audio_format)
    made = (engine or Serial()).map(make, plans, name=_name)
    records = list(tqdm(made, total=len(plans), desc="simulate", unit="mixture", disable=not progress))
    write_manifest(folder / MANIFEST, records)
    return records


def _name(plan: Plan) -> str:
    return f"mixture {plan.id}"


# ---- the corpus and the options


def _plans(manifest: str | os.PathLike[str], config: RenderConfig) -> tuple[Sequence[Plan], int]:
    """All mixtures, drawn before the first one is rendered, and the most talkers in one."""
    utterances = _utterances(manifest, config)
    planner: Planner | MixtureList
    if config.list is None:
        planner = Planner(utterances, config)
    else:
        planner = MixtureList(config.list, utterances, config, skip_missing=config.skip_missing)
    count = len(planner) if config.limit is None else min(config.limit, len(planner))
    plans = [planner.plan(place) for place in range(count)]
    return plans, max(len(plan.talkers) for plan in plans)


def _utterances(manifest: str | os.PathLike[str], config: RenderConfig) -> Sequence[Utterance]:
    utterances = read_utterances(manifest, split=config.split)
    if config.max_duration_s is None:
        return utterances
    short = [utterance for utterance in utterances if utterance.duration_s <= config.max_duration_s]
    if not short:
        raise ManifestError(
            f"{manifest}: all {len(utterances)} utterances are longer than"
            f" max_duration_s={config.max_duration_s}"
        )
    return short


def _settings(manifest: Path, acoustics: Acoustics, config: RenderConfig) -> dict[str, Any]:
    """All that mixture `index` depends on, as JSON. The limit is not part of it: a set can be made longer."""
    options = asdict(replace(config, limit=None, noise=None, bank=None, list=None))
    del options["limit"]
    options["noise"] = config.noise and {
        "snr_db": config.noise.snr_db,
        "in_room": config.noise.in_room,
        "files": _digest("\n".join(path.name for path in acoustics.noise).encode()),
    }
    options["bank"] = acoustics.bank and _bank(acoustics.bank)
    options["bank_split"] = acoustics.bank and acoustics.bank.split
    options["list"] = config.list and _digest(config.list.read_bytes())
    options["utterances"] = _digest(manifest.read_bytes())
    settings: dict[str, Any] = json.loads(json.dumps(options))
    return settings


def _bank(bank: RirBank) -> dict[str, Any]:
    """A bank's rooms are a function of its options; which of them a mixture gets depends on how many there are."""
    return {"options": _digest((bank.folder / BANK_SETTINGS).read_bytes()), "rooms": len(bank)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
