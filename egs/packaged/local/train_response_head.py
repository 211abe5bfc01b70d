"""Train the packaged response head: which text answers a conversation, on top of frozen sentence embeddings.

Every turn of the training dialogues is told apart from those of 511 others, half of the time with the recognition
errors that pocketsphinx makes on the training speech. Prints, for the dialogues that are held out, how often the turn
that was said scores higher than one of another dialogue, and the same for the cosine that it begins with.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from pathlib import Path

import torch
from dialogues import read_dialogues
from recogniser import Recogniser, hear_speech, spoken_after_history
from torch import Tensor
from tqdm import tqdm

from cse.checkpoint import save_checkpoint
from cse.errors import CseError
from cse.history import Turn
from cse.selection.response import PACKAGED_HEAD, ResponseHead
from cse.selection.sentences import EMBEDDING_SIZE, SentenceEncoder

CHUNK = 512


@dataclass(frozen=True)
class Turns:
    """All turns of some dialogues, one after the other; (N, D) embeddings as they were said and as they are heard."""

    said: Tensor
    heard: Tensor
    dialogue: Tensor  # (N,) number of the dialogue
    position: Tensor  # (N,) in its dialogue

    @property
    def answers(self) -> Tensor:
        """Turns that have one before them."""
        return self.position.nonzero().flatten()

    def before(self, answers: Tensor, max_turns: int) -> tuple[Tensor, Tensor]:
        """Embeddings (B, K, D) of the turns before each answer, latest first, and which of them are there (B, K)."""
        back = torch.arange(1, max_turns + 1)
        mask = back <= self.position[answers].unsqueeze(1)
        return self.said[(answers.unsqueeze(1) - back).clamp(min=0)], mask


def embed(
    dialogues: list[list[Turn]],
    encoder: SentenceEncoder,
    recogniser: Recogniser,
    *,
    share_heard: float,
    seed: int,
) -> Turns:
    """Embed dialogues; `share_heard` of the turns are heard with recognition errors, the others as they were said."""
    rng = random.Random(seed)
    texts = [turn.text for turns in dialogues for turn in turns]
    wrong = [number for number in range(len(texts)) if rng.random() < share_heard]
    errors = [" ".join(word for word, _ in recogniser.hear(texts[number], rng)) for number in wrong]
    said = encode(texts, encoder, "embedding turns")
    heard = said.clone()
    heard[wrong] = encode(errors, encoder, "embedding turns with errors")
    return Turns(
        said=said,
        heard=heard,
        dialogue=torch.tensor([number for number, turns in enumerate(dialogues) for _ in turns]),
        position=torch.tensor([position for turns in dialogues for position in range(len(turns))]),
    )


def encode(texts: list[str], encoder: SentenceEncoder, desc: str) -> Tensor:
    """(N, D) embeddings; texts of like length go together, which saves padding."""
    order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
    result = torch.empty(len(texts), EMBEDDING_SIZE)
    for at in tqdm(range(0, len(order), CHUNK), desc=desc, unit=f"{CHUNK} turns"):
        chunk = order[at : at + CHUNK]
        result[chunk] = torch.from_numpy(encoder.embed([texts[number] for number in chunk]))
    return result


def train(head: ResponseHead, turns: Turns, *, epochs: int, batch: int, seed: int) -> None:
    """Softmax over the answers of a batch, from conversation to answer and back."""
    generator = torch.Generator().manual_seed(seed)
    sharpness = torch.nn.Parameter(torch.tensor(3.0))
    optimizer = torch.optim.AdamW([*head.parameters(), sharpness], lr=1e-3, weight_decay=0.05)
    head.train()
    progress = tqdm(total=epochs * (len(turns.answers) // batch), desc="training", unit="step")
    for _ in range(epochs):
        order = turns.answers[torch.randperm(len(turns.answers), generator=generator)]
        for answers in order.split(batch):
            if len(answers) < batch:
                continue
            cosines = head(*turns.before(answers, head.max_turns), turns.heard[answers])
            logits = sharpness.exp().clamp(max=100) * cosines
            # another turn of the same dialogue is no wrong answer
            same = turns.dialogue[answers].unsqueeze(0) == turns.dialogue[answers].unsqueeze(1)
            logits = logits.masked_fill(same & ~torch.eye(batch, dtype=torch.bool), -1e9)
            right = torch.arange(batch)
            cross_entropy = torch.nn.functional.cross_entropy
            loss = cross_entropy(logits, right) + cross_entropy(logits.T, right)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress.update()
            progress.set_postfix(loss=f"{float(loss):.2f}")
    progress.close()


@torch.inference_mode()
def accuracy(head: ResponseHead, turns: Turns, *, heard: bool, seed: int) -> float:
    """How often an answer scores higher than one of another dialogue."""
    head.eval()
    answers, embeddings = turns.answers, turns.heard if heard else turns.said
    others = answers[torch.randperm(len(answers), generator=torch.Generator().manual_seed(seed))]
    right = []
    for own, other in zip(answers.split(256), others.split(256), strict=True):
        context = turns.before(own, head.max_turns)
        scores = head(*context, embeddings[own]).diagonal(), head(*context, embeddings[other]).diagonal()
        right.append((scores[0] > scores[1])[turns.dialogue[own] != turns.dialogue[other]])
    return float(torch.cat(right).float().mean())


def cosine_head() -> ResponseHead:
    """The head before training, without loss of dimensions: the cosine with the recent turns."""
    return ResponseHead(size=384)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with speech/utterances.jsonl and dialogues/"
    )
    parser.add_argument(
        "--transcripts", type=Path, required=True, help="file to keep transcripts in (JSON Lines)"
    )
    parser.add_argument("--card", type=Path, required=True, help="model card with {numbers} in it")
    parser.add_argument(
        "--output", type=Path, default=PACKAGED_HEAD, help="checkpoint to write (%(default)s)"
    )
    parser.add_argument("--turns", type=int, default=18_000, help="most turns of each corpus (%(default)s)")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    rng = random.Random(options.seed)
    recogniser, encoder = Recogniser(), SentenceEncoder(cache_size=CHUNK)
    hear_speech(spoken_after_history(options.data), options.transcripts, recogniser)
    folder = options.data / "dialogues"
    corpora = read_dialogues(folder, held_out=False, max_turns=options.turns, rng=rng)
    dialogues = [one for dialogues in corpora.values() for one in dialogues]
    turns = embed(dialogues, encoder, recogniser, share_heard=0.5, seed=options.seed)
    head = ResponseHead()
    train(head, turns, epochs=options.epochs, batch=options.batch, seed=options.seed)

    rows = []
    unseen = read_dialogues(folder, held_out=True, max_turns=options.turns // 10, rng=rng)
    for corpus, dialogues in unseen.items():
        test = embed(dialogues, encoder, recogniser, share_heard=1.0, seed=options.seed + 1)
        numbers = [
            accuracy(network, test, heard=heard, seed=options.seed)
            for network in (cosine_head(), head)
            for heard in (False, True)
        ]
        rows.append(
            f"| {corpus} | {len(test.answers)} | " + " | ".join(f"{number:.1%}" for number in numbers) + " |"
        )
    print("\n".join(rows))
    counts = ", ".join(f"{len(dialogues)} of {corpus}" for corpus, dialogues in corpora.items())
    card = options.card.read_text(encoding="utf-8").format(rows="\n".join(rows), counts=counts)
    config = {
        "model": {"_target_": "cse.selection.response.ResponseHead", "size": 256, "max_turns": head.max_turns}
    }
    save_checkpoint(options.output, config, head.state_dict(), card)
    print(options.output)


if __name__ == "__main__":
    try:
        main()
    except CseError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
