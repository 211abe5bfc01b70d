"""Write a list of mixtures for `cse simulate list=...`: turns of a corpus of dialogues, each against turns of others.

Both talkers have a history, so that one can take the place of the other. In the first lines every turn is a target
once, then every turn once more against another interferer, until there are no new pairs or `--limit` is reached.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np

from cse.errors import CseError, ManifestError
from cse.files import write_text
from cse.manifest import Utterance, read_utterances
from simulate.mixing import sample_snr_db


def pairs(
    utterances: Sequence[Utterance], *, within: bool, rng: np.random.Generator
) -> Iterator[tuple[Utterance, Utterance]]:
    """Targets with interferers of another speaker, from another dialogue or from the same one."""
    rivals = []
    for place in rng.permutation(len(utterances)):
        target = utterances[place]
        others = [
            one
            for one in utterances
            if one.speaker != target.speaker and (one.dialogue == target.dialogue) is within
        ]
        rivals.append([(target, others[number]) for number in rng.permutation(len(others))])
    for round_ in zip_longest(*rivals):
        yield from (pair for pair in round_ if pair is not None)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("utterances", type=Path, help="utterances.jsonl with dialogues")
    parser.add_argument("output", type=Path, help="text file to write")
    parser.add_argument("--within", action="store_true", help="interferers are from the target's dialogue")
    parser.add_argument("--min-history-turns", type=int, default=2, help="of both (%(default)s)")
    parser.add_argument("--limit", type=int, help="at most so many lines")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    rng = np.random.default_rng(options.seed)
    utterances = [
        one for one in read_utterances(options.utterances) if len(one.history) >= options.min_history_turns
    ]
    chosen = list(islice(pairs(utterances, within=options.within, rng=rng), options.limit))
    if not chosen:
        raise ManifestError(
            f"{options.utterances}: got no two turns by different speakers with {options.min_history_turns} turns "
            "before them, expected some; lower --min-history-turns"
        )
    lines = [f"{target.id}.wav {other.id}.wav {sample_snr_db(rng):.4f}\n" for target, other in chosen]
    write_text(options.output, "".join(lines))
    print(f"{options.output}: {len(lines)} mixtures of {len({target.id for target, _ in chosen})} targets")


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
