"""Train the scorer that tells which words continue a conversation, on text dialogues with recognition errors.

Embeddings by MiniLM, which is not changed, are made once and kept in OUTPUT (an interrupted run goes on there); the
network over them takes minutes. One dialogue in ten is held out, and the development set is left out.
"""

from __future__ import annotations

import argparse
import inspect
import random
from dataclasses import replace
from pathlib import Path

import torch
from dialogues import Dialogue, read_dialogues, split
from recognition_errors import RecognitionErrors
from scorer_batches import Batch, Turns
from scorer_features import encode, fingerprint, heard_form, pick, written_form
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from cse.checkpoint import save_checkpoint
from cse.errors import CseError
from cse.history import Turn
from cse.selection.next_turn_network import NextTurnNetwork

NAME = "next-turn-scorer"
TARGET = "cse.selection.next_turn_network.NextTurnNetwork"
TURNS = {"dailytalk": 30000, "topicalchat": 9000, "sgd": 10000, "taskmaster4": 4000}
"""About how many turns of each corpus; of any other, as many as of the smallest."""

SPLIT_SHARE = 0.25  # of the dialogues: their turns of several sentences become several turns of one speaker


def in_sentences(dialogue: Dialogue) -> Dialogue:
    """The same dialogue with one turn a sentence, so that people also go on after what they said themselves.

    Example:
        >>> [turn.text for turn in in_sentences(Dialogue("1", "a", (Turn("Oh. Where are you?"),))).turns]
        ['Oh.', 'Where are you?']
    """
    turns = []
    for turn in dialogue.turns:
        sentences = turn.text.replace("? ", "?\n").replace(". ", ".\n").replace("! ", "!\n").split("\n")
        turns += [Turn(sentence.strip(), turn.speaker) for sentence in sentences if sentence.strip()]
    return replace(dialogue, turns=tuple(turns))


def make_turns(data: Path, output: Path, share: float, hard: int, seed: int) -> Turns:
    """Draw dialogues, make two texts of each turn (as written, and as it may be heard) and encode both."""
    rng = random.Random(seed)
    training = {corpus: split(own)[0] for corpus, own in read_dialogues(data).items()}
    errors = RecognitionErrors(turn.text for own in training.values() for one in own for turn in one.turns)
    chosen = [
        in_sentences(one) if rng.random() < SPLIT_SHARE else one
        for corpus, own in training.items()
        for one in pick(own, round(share * TURNS.get(corpus, min(TURNS.values()))), rng)
    ]
    rng.shuffle(chosen)
    texts = []
    for turn in (turn for dialogue in chosen for turn in dialogue.turns):
        texts += [written_form(turn, rng), heard_form(turn.text, errors, rng) or "um"]
    print(f"{len(chosen)} dialogues, {len(texts) // 2} turns", flush=True)
    kept = output / f"neighbours-{fingerprint(texts)}.npy"
    return Turns(chosen, encode(texts, output), hard=hard, kept=kept)


def loss_of(network: NextTurnNetwork, batch: Batch) -> tuple[Tensor, float]:
    """Loss of a batch, and how often the right answer comes first among all candidates.

    Two parts: the right answer among all candidates, and log-odds against each single one. Both after the correction
    by what a candidate gets in the other contexts of the batch.
    """
    scores = network.compare(network.contexts(**batch.history), network.candidates(batch.candidates))
    # for each candidate, what it gets in the contexts that it is wrong for
    elsewhere = (
        scores.masked_fill(~batch.wrong, -torch.inf).logsumexp(0) - batch.wrong.sum(0).clamp(min=1).log()
    )
    gain = network.corrected(scores, torch.where(batch.wrong.any(0), elsewhere, 0.0))
    rows = torch.arange(len(gain))
    right = gain[rows, batch.right]
    among = torch.where(batch.wrong, gain, -torch.inf)
    among[rows, batch.right] = right
    choice = F.cross_entropy(among, batch.right)
    share = batch.wrong / batch.wrong.sum(1, keepdim=True)
    odds = F.softplus(-right).mean() + (share * F.softplus(gain)).sum(1).mean()
    return choice + odds, float((among.argmax(1) == batch.right).float().mean())


def train(
    network: NextTurnNetwork, turns: Turns, *, steps: int, batch_size: int, rate: float, seed: int
) -> None:
    """AdamW along a cosine; the last weights stay."""
    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=max(2, steps), pct_start=0.1, cycle_momentum=False
    )
    network.train()
    bar = tqdm(range(steps), desc="training", unit="step", mininterval=10)
    mean_loss = mean_right = 0.0
    for step in bar:
        batch = turns.draw(turns.answers_for(batch_size, rng), rng)
        loss, right = loss_of(network, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        weight = max(0.02, 1 / (step + 1))
        mean_loss += weight * (float(loss.detach()) - mean_loss)
        mean_right += weight * (right - mean_right)
        bar.set_postfix(loss=f"{mean_loss:.3f}", right=f"{mean_right:.1%}", refresh=False)
    network.eval()


@torch.no_grad()
def remember(network: NextTurnNetwork, turns: Turns, seed: int) -> None:
    """Keep the contexts of some training dialogues to compare candidates with."""
    rng = random.Random(seed)
    numbers = rng.choices(turns.answers.tolist(), k=len(network.references))
    network.remember(network.contexts(**turns.histories(numbers, rng)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with dialogues/*.jsonl.gz")
    parser.add_argument("--output", type=Path, required=True, help="folder of everything that is made")
    parser.add_argument("--card", type=Path, help="model card; default: the one beside this script")
    parser.add_argument("--share", type=float, default=1.0, help="of the turns to train on (%(default)s)")
    parser.add_argument("--steps", type=int, default=500, help="of training (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=96, help="histories in a batch (%(default)s)")
    parser.add_argument("--hard", type=int, default=2, help="hard wrong answers for each (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1.5e-3, help="its peak (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    turns = make_turns(options.data, options.output, options.share, options.hard, options.seed)
    torch.manual_seed(options.seed)
    sizes = {name: each.default for name, each in inspect.signature(NextTurnNetwork).parameters.items()}
    network = NextTurnNetwork(**sizes)
    train(
        network,
        turns,
        steps=options.steps,
        batch_size=options.batch_size,
        rate=options.learning_rate,
        seed=options.seed,
    )
    remember(network, turns, options.seed)
    card = (options.card or Path(__file__).with_name("scorer_card.md")).read_text(encoding="utf-8")
    state = {name: tensor.half() for name, tensor in network.state_dict().items()}
    save_checkpoint(
        options.output / NAME, {"name": NAME, "model": {"_target_": TARGET, **sizes}}, state, card
    )
    print(options.output / NAME)


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
