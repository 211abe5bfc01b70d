"""The paper's ContExt against SpeechBrain's blocks and the processor's matrix products: `make bench`.

The baseline is the same SepFormer put together as the published code does: `SBTransformerBlock` in a dual-path loop,
the context in front of all sequences at once, masks of all talkers. It has the same weights, so the outputs must agree;
speed and memory are only reported. Everything that is compared is timed in turns within one run.

Two limits are measured: "mm" is the time of the layers' matrix products alone by `torch.mm` and `torch.bmm`, "fastest"
takes the linear layers' as 1 × 1 convolutions on slices where that is faster.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from speechbrain.lobes.models.dual_path import SBTransformerBlock
from torch import Tensor, nn
from torch.nn import functional as F

from cse.models.backbones.chunks import join_chunks, split_chunks
from cse.models.backbones.conv_tasnet import ConvTasNet
from cse.models.backbones.sepformer import SepFormer
from cse.models.backbones.transformer import TransformerStack
from cse.models.cues.cue import Cue
from cse.models.filterbanks import LearnedFilterbank
from cse.models.fusion.prompt import Prompt

pytestmark = pytest.mark.benchmark
RATE = 8000
ROUNDS = {4: 5, 16: 3, 60: 1}
WIDTH, LAYERS, REPEATS, HEADS, FEED_FORWARD, CHUNK_SIZE = 256, 8, 2, 8, 1024, 250


class Ours(nn.Module):
    """Filterbank, SepFormer under a text cue, the first mask."""

    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.filterbank = LearnedFilterbank(channels=256)
        self.backbone = SepFormer(channels=256, talkers=2, fusion=Prompt, cue_width=4096, **options)

    def forward(self, mixture: Tensor, cue: Cue) -> Tensor:
        representation = self.filterbank.encode(mixture)
        masks, _ = self.backbone.masks_and_prompts(representation, cue, masks=1)
        return self._decode(masks, representation, mixture)

    def _decode(self, masks: Tensor, representation: Tensor, mixture: Tensor) -> Tensor:
        weighed = self.filterbank.apply_masks(masks, representation)
        return self.filterbank.decode(weighed, mixture.shape[-1])[:, 0]


class Baseline(nn.Module):
    """The same with SpeechBrain's transformers, from the weights of `ours`."""

    def __init__(self, ours: Ours) -> None:
        super().__init__()
        self.ours = ours
        self.paths = nn.ModuleList(
            nn.ModuleList(speechbrain_block(stack) for stack in (repeat.intra, repeat.inter))
            for repeat in ours.backbone.repeats
        )

    def forward(self, mixture: Tensor, cue: Cue) -> Tensor:
        backbone = self.ours.backbone
        representation = self.ours.filterbank.encode(mixture)
        state = split_chunks(backbone.entry(representation).transpose(1, 2), CHUNK_SIZE).permute(0, 3, 2, 1)
        for repeat, (intra, inter), fusion in zip(
            backbone.repeats, self.paths, backbone.fusions, strict=True
        ):
            intra_prompt, inter_prompt = fusion.prompts(cue)
            within = through(intra, state.permute(0, 3, 2, 1), intra_prompt).permute(0, 3, 2, 1)
            state = repeat.intra_norm(within.contiguous()) + state
            across = through(inter, state.permute(0, 2, 3, 1), inter_prompt).permute(0, 3, 1, 2)
            state = repeat.inter_norm(across.contiguous()) + state
        state = backbone.split_talkers(state).unflatten(1, (backbone.talkers, -1)).flatten(0, 1)
        joined = join_chunks(state.permute(0, 3, 2, 1), representation.shape[-1]).transpose(1, 2)
        masks = backbone.exit(backbone.content(joined) * backbone.gate(joined))
        return self.ours._decode(masks.unflatten(0, (-1, backbone.talkers)), representation, mixture)


def through(block: SBTransformerBlock, sequences: Tensor, prompt: Tensor) -> Tensor:
    batch, count = sequences.shape[:2]
    prompted = torch.cat([prompt.unsqueeze(1).expand(-1, count, -1, -1), sequences], dim=2)
    return block(prompted.flatten(0, 1)).unflatten(0, (batch, count))[:, :, prompt.shape[1] :]


def speechbrain_block(stack: TransformerStack) -> SBTransformerBlock:
    block = SBTransformerBlock(
        LAYERS, WIDTH, HEADS, FEED_FORWARD, dropout=0.0, use_positional_encoding=True, norm_before=True
    )
    pairs = [(block.mdl.norm.norm, stack.norm)]
    for theirs, layer in zip(block.mdl.layers, stack.layers, strict=True):
        attention, ours = theirs.self_att.att, layer.query_key_value
        attention.in_proj_weight.data, attention.in_proj_bias.data = ours.weight.data, ours.bias.data
        pairs += [
            (attention.out_proj, layer.attention_output),
            (theirs.pos_ffn.ffn[0], layer.expand),
            (theirs.pos_ffn.ffn[3], layer.contract),
            (theirs.norm1.norm, layer.attention_norm),
            (theirs.norm2.norm, layer.feed_forward_norm),
        ]
    for theirs, ours in pairs:
        theirs.weight.data, theirs.bias.data = ours.weight.data, ours.bias.data
    return block


def networks() -> tuple[Ours, Baseline, Cue]:
    torch.manual_seed(0)
    ours = Ours().eval()
    return ours, Baseline(ours).eval(), Cue.of(torch.randn(1, 1, 4096))


def noise(length_s: float) -> Tensor:
    return 0.1 * torch.randn(1, int(length_s * RATE))


def in_turns(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each work; the works take turns, so that what else the machine does hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - started)
    return {name: float(np.median(of)) for name, of in times.items()}


def product_limits_s(length_s: float, repeats: int = 3) -> tuple[float, float]:
    """Time of the linear layers' and the attention's matrix products: by `torch.mm`, and by the fastest way known."""
    frames = LearnedFilterbank(channels=1).encode(noise(length_s)).shape[-1]
    chunks = split_chunks(torch.zeros(1, frames, 1), CHUNK_SIZE).shape[1]
    mm_s = fastest_s = 0.0
    for sequences, positions in ((chunks, CHUNK_SIZE + 1), (CHUNK_SIZE, chunks + 1)):
        rows = sequences * positions
        for inputs, outputs in (
            (WIDTH, 3 * WIDTH),
            (WIDTH, WIDTH),
            (WIDTH, FEED_FORWARD),
            (FEED_FORWARD, WIDTH),
        ):
            x, weight, result = (
                torch.randn(rows, inputs),
                torch.randn(outputs, inputs),
                torch.empty(rows, outputs),
            )
            pictures = [
                part.view(16, 64, 1, inputs).permute(0, 3, 1, 2)
                for part in x.split(1024)
                if len(part) == 1024
            ]
            kernel = weight[..., None, None]
            times = in_turns(
                {
                    "mm": lambda x=x, w=weight, r=result: torch.mm(x, w.t(), out=r),
                    "convolution": lambda p=pictures, k=kernel: [F.conv2d(picture, k) for picture in p],
                },
                repeats,
            )
            mm_s += times["mm"]
            fastest_s += min(times["mm"], times["convolution"] * rows / (1024 * len(pictures)))
        heads = 4 * HEADS  # of four sequences at once
        query, value = (torch.randn(heads, positions, WIDTH // HEADS) for _ in range(2))
        scores, attended = torch.empty(heads, positions, positions), torch.empty_like(value)

        def attend(q=query, v=value, s=scores, a=attended):
            torch.bmm(q, q.transpose(1, 2), out=s)
            torch.bmm(s, v, out=a)

        attention_s = in_turns({"attention": attend}, 3 * repeats)["attention"] * sequences / 4
        mm_s, fastest_s = mm_s + attention_s, fastest_s + attention_s
    return LAYERS * REPEATS * mm_s, LAYERS * REPEATS * fastest_s


def si_sdr_db(reference: Tensor, estimate: Tensor) -> float:
    scaled = (reference * estimate).sum() / reference.square().sum() * reference
    return float(10 * torch.log10(scaled.square().sum() / (estimate - scaled).square().sum()))


def peak_mb(which: str, length_s: int) -> float:
    """Peak memory of one pass in a fresh process, above what it held before."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), which, str(length_s)],
        capture_output=True,
        check=True,
        text=True,
    )
    return float(done.stdout.split()[-1])


def report_own_peak(which: str, length_s: int) -> None:
    ours, baseline, cue = networks()
    separator = nn.Sequential(LearnedFilterbank(channels=256), ConvTasNet(channels=256, talkers=2)).eval()
    mixture = noise(length_s)

    def field(name: str) -> float:
        return int(re.search(name + r":\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024

    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    held = field("VmRSS")
    with torch.inference_mode():
        if which == "conv_tasnet":
            conv_tasnet(*separator, mixture)
        else:
            {"ours": ours, "baseline": baseline}[which](mixture, cue)
    print(field("VmHWM") - held)


def conv_tasnet(filterbank: LearnedFilterbank, backbone: ConvTasNet, mixture: Tensor) -> Tensor:
    representation = filterbank.encode(mixture)
    return filterbank.decode(
        filterbank.apply_masks(backbone(representation), representation), mixture.shape[-1]
    )


def test_inference_against_length(capsys):
    ours, baseline, cue = networks()
    columns = ["length_s", "base_s", "ours_s", "ratio", "mm_s", "share", "fastest_s", "share", "s_per_s"]
    columns += ["base_MB", "ours_MB", "bf16_s", "ratio", "dB"]
    with capsys.disabled(), torch.inference_mode():
        print(
            f"\nContExt of the paper, {torch.get_num_threads()} threads; bf16 by autocast, dB against the baseline"
        )
        print(" ".join(f"{column:>9}" for column in columns))
        for length_s, rounds in ROUNDS.items():
            mixture = noise(length_s)
            results: dict[str, Tensor] = {}
            limits_s: list[tuple[float, float]] = []

            def run(
                name: str, network: nn.Module, bf16: bool = False, mixture=mixture, results=results
            ) -> None:
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                    results[name] = network(mixture, cue).float()

            times = in_turns(
                {
                    "baseline": lambda run=run: run("baseline", baseline),
                    "ours": lambda run=run: run("ours", ours),
                    "bf16": lambda run=run: run("bf16", ours, bf16=True),
                    "limits": lambda to=limits_s, length_s=length_s: to.append(product_limits_s(length_s)),
                },
                rounds,
            )
            level = results["baseline"].abs().max().item()
            assert torch.allclose(results["ours"], results["baseline"], atol=1e-4 * level)
            base_s, ours_s, bf16_s = times["baseline"], times["ours"], times["bf16"]
            mm_s, fastest_s = np.median(limits_s, axis=0)
            row = [base_s, ours_s, base_s / ours_s, mm_s, mm_s / ours_s, fastest_s, fastest_s / ours_s]
            row += [ours_s / length_s, peak_mb("baseline", length_s), peak_mb("ours", length_s)]
            row += [bf16_s, base_s / bf16_s, si_sdr_db(results["baseline"], results["bf16"])]
            print(f"{length_s:9d}", " ".join(f"{value:9.2f}" for value in row), flush=True)


def test_training_step(capsys):
    ours, thrifty, baseline = (
        Ours().train(),
        Ours(checkpoint_gradients=True).train(),
        Baseline(Ours()).train(),
    )
    cue = Cue.of(torch.randn(1, 1, 4096))
    mixture, target = noise(2), noise(2)

    def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        F.mse_loss(network(mixture, cue), target).backward()
        optimizer.step()

    works = {}
    for name, network in (("baseline", baseline), ("ours", ours), ("checkpointed", thrifty)):
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-6, amsgrad=True)
        works[name] = lambda network=network, optimizer=optimizer: step(network, optimizer)
    in_turns(works, 1)
    times = in_turns(works, 3)
    with capsys.disabled():
        print("\ntraining step on 2 s of audio, seconds, and how many of them in the baseline's time")
        for name, time_s in times.items():
            print(f"{name:>12} {time_s:7.2f} {times['baseline'] / time_s:6.2f}")


def test_conv_tasnet_against_length(capsys):
    filterbank, backbone = LearnedFilterbank(channels=256), ConvTasNet(channels=256, talkers=2).eval()
    with capsys.disabled(), torch.inference_mode():
        print(f"\nConv-TasNet, learned filterbank, {torch.get_num_threads()} threads")
        print("length_s       s  s per s  peak MB")
        for length_s in ROUNDS:
            mixture = noise(length_s)
            work = {"": lambda x=mixture: conv_tasnet(filterbank, backbone, x)}
            in_turns(work, 1)
            time_s = in_turns(work, 3)[""]
            print(
                f"{length_s:8d} {time_s:7.2f} {time_s / length_s:8.3f} {peak_mb('conv_tasnet', length_s):8.0f}"
            )


if __name__ == "__main__":
    report_own_peak(sys.argv[1], int(sys.argv[2]))
