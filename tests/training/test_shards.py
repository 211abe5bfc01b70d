"""Training from shards: which mixtures, in which order, from where; and what shards of strangers cannot do."""

from __future__ import annotations

import functools
import gzip
import http.server
import io
import json
import os
import pickle
import shutil
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from cse.audio import load_waveform, write_audio
from cse.cli import main
from cse.errors import ConfigError, CseError, ManifestError
from cse.files import atomic_write
from cse.manifest import Mixture, read_mixtures, write_manifest
from cse.testing.corpus import write_mixtures
from cse.training.shards.cache import ShardCache, _locked
from cse.training.shards.index import ShardAddress, read_indices
from cse.training.shards.mixtures import SegmentConfig, ShardMixtures
from cse.training.shards.open_shard import OpenShard
from cse.training.shards.order import ShardOrder
from simulate.shards import write_shards

RATE = 8000


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    return write_mixtures(tmp_path_factory.mktemp("set"), mixtures=7, duration_s=0.6, sample_rate=RATE)


@pytest.fixture(scope="module")
def folder(manifest) -> Path:
    write_shards(manifest, manifest.parent / "shards", size=2, progress=False)
    return manifest.parent / "shards"


@pytest.fixture
def served(folder, tmp_path) -> Iterator[tuple[str, list[str], Path]]:
    """The address of a copy of the shards on a web server, the paths it was asked for, and the copy."""
    asked: list[str] = []
    copy = shutil.copytree(folder, tmp_path / "served")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *_: object) -> None:
            asked.append(self.path)

        def log_error(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(copy))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked, copy
    server.shutdown()
    thread.join()
    server.server_close()


def mixtures(
    place: str | Path, cache: Path = Path("/nonexistent"), *, talkers: int = 2, **options: object
) -> ShardMixtures:
    config = SegmentConfig(talkers=talkers, **{"segment_s": 0.5, **options})
    shards = read_indices([str(place)], sample_rate=RATE, talkers=talkers)
    return ShardMixtures(shards=shards, cache=ShardCache(cache), config=config, sample_rate=RATE, seed=0)


# ---- what an item is


def test_a_piece_of_a_mixture_is_the_sum_of_its_talkers(folder):
    dataset = mixtures(folder)
    assert len(dataset) == 7
    for index in range(7):
        item = dataset[index]
        assert item["mixture"].shape == (RATE // 2,)
        assert item["talkers"].shape == (2, RATE // 2)
        assert torch.allclose(item["talkers"].sum(0), item["mixture"], atol=2**-14)


def test_the_target_and_the_cues_are_those_of_the_manifest(folder, manifest):
    dataset = mixtures(folder, segment_s=0.6, random_history_turns=False, enrollment_s=(9.0, 9.0))
    places = set()
    for index, record in enumerate(read_mixtures(manifest)):
        item = dataset[index]
        target = torch.from_numpy(load_waveform(record.target, RATE))
        assert torch.equal(item["talkers"][item["target"]], target)
        assert item["history"] == item["histories"][item["target"]] == list(record.history)
        assert item["next_speaker"] == record.target_speaker
        assert np.array_equal(item["enrollment"].numpy(), load_waveform(record.enrollment, RATE))
        places.add(item["target"])
    assert places == {0, 1}


def test_what_is_short_is_followed_by_silence(folder):
    item = mixtures(folder, segment_s=1.0)[0]
    assert item["mixture"].shape == (RATE,)
    assert item["mixture"][round(0.6 * RATE) :].abs().max() == 0


def test_histories_and_enrollments_are_cut_and_dropped_as_asked(folder):
    items = [mixtures(folder, history_dropout=1.0, enrollment_s=(0.1, 0.1))[index] for index in range(7)]
    assert all(item["history"] == [] and item["next_speaker"] is None for item in items)
    assert {item["enrollment"].shape for item in items} == {(RATE // 10,)}
    items = [mixtures(folder, both_dropout=1.0)[index] for index in range(7)]
    assert all(item["history"] == [] and item["enrollment"] is None for item in items)
    assert {len(mixtures(folder, max_history_turns=1)[index]["history"]) for index in range(7)} == {1}
    with pytest.raises(ConfigError, match="got 1.4 together, expected at most 1"):
        SegmentConfig(talkers=2, history_dropout=0.7, both_dropout=0.7)


def test_an_item_is_the_same_every_time_and_in_every_worker(folder):
    dataset = mixtures(folder, segment_s=0.2)
    copy = pickle.loads(pickle.dumps(dataset))
    loader = DataLoader(dataset, batch_size=2, collate_fn=dataset.collate, num_workers=2)
    batches = torch.cat([batch["mixture"] for batch in loader])
    for index in range(7):
        assert torch.equal(dataset[index]["mixture"], copy[index]["mixture"])
        assert torch.equal(dataset[index]["mixture"], batches[index])


def one_shard(folder: Path, record: Mixture) -> Path:
    write_manifest(folder / "m.jsonl", [record])
    write_shards(folder / "m.jsonl", folder / "out", progress=False)
    return folder / "out"


def test_talkers_are_as_loud_as_in_a_mixture_behind_a_channel(manifest, tmp_path):
    record = read_mixtures(manifest)[0]
    quiet = 10 ** (-20 / 20)
    write_audio(tmp_path / "sent.wav", quiet * load_waveform(record.mixture, RATE), RATE)
    values = {**vars(record), "mixture": tmp_path / "sent.wav", "enrollment": None}
    sent = Mixture(**{**values, "extra": {"channel": {"gain_db": -20.0}}})
    item = mixtures(one_shard(tmp_path, sent))[0]
    assert item["mixture"].abs().max() > 0.01
    assert torch.allclose(item["talkers"].sum(0), item["mixture"], atol=2**-14)
    (tmp_path / "wrong").mkdir()
    wrong = Mixture(**{**values, "extra": {"channel": {"gain_db": "loud"}}})
    with pytest.raises(ManifestError, match=r"channel\.gain_db: got 'loud', expected a number"):
        mixtures(one_shard(tmp_path / "wrong", wrong))[0]


def test_every_piece_is_decoded_once(folder, monkeypatch):
    read: list[str] = []
    audio = OpenShard.audio

    def counted(self: OpenShard, number: int, kind: str, *place: int) -> np.ndarray:
        read.append(kind)
        return audio(self, number, kind, *place)

    monkeypatch.setattr(OpenShard, "audio", counted)
    for index, segment_s in enumerate((0.2, 0.9)):  # within the mixture, and longer than it
        _ = mixtures(folder, segment_s=segment_s)[index]
        assert sorted(read) == ["enrollment", "interferer1", "mixture", "target"]
        read.clear()


def test_ids_of_any_length_are_kept(manifest, tmp_path):
    record = Mixture(**{**vars(read_mixtures(manifest)[0]), "id": 150 * "x"})
    shards = read_indices([str(one_shard(tmp_path, record))], sample_rate=RATE, talkers=2)
    opened = OpenShard(Path(shards[0].place), shards[0])
    assert opened.record(0)["id"] == 150 * "x"
    assert len(opened.audio(0, "mixture")) == round(0.6 * RATE)


@pytest.mark.parametrize(
    "option", [{"enrollment_s": (0.0, 5.0)}, {"enrollment_s": (3.0, 2.0)}, {"max_history_turns": 0}]
)
def test_cues_without_anything_in_them_are_refused(option):
    with pytest.raises(ConfigError, match=f"{next(iter(option))}: got "):
        SegmentConfig(talkers=2, **option)


def test_an_absent_target_is_minus_one_and_another_number_of_talkers_is_refused(manifest, tmp_path):
    record = read_mixtures(manifest)[0]
    interferers = (*record.interferers, record.target)
    absent = Mixture(**{**vars(record), "target": None, "interferers": interferers, "interferer_texts": ()})
    item = mixtures(one_shard(tmp_path, absent))[0]
    assert item["target"] == -1
    assert item["talkers"].shape[0] == 2
    with pytest.raises(ConfigError, match="got mixtures of 2 talkers at 8000 Hz, expected 3"):
        mixtures(tmp_path / "out", talkers=3)
    with pytest.raises(ManifestError, match="got 1 talkers, expected 2 in every mixture"):
        few = Mixture(
            **{**vars(record), "id": "few", "interferers": (), "interferer_texts": (), "snr_db": ()}
        )
        write_manifest(tmp_path / "m.jsonl", [record, few])
        write_shards(tmp_path / "m.jsonl", tmp_path / "two", progress=False)
        mixtures(tmp_path / "two")[1]


# ---- the order


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_every_mixture_comes_once_a_round_on_one_process(world_size):
    counts = [5, 3, 4, 5, 1, 2, 6]
    order = ShardOrder(counts, seed=0, window=2, world_size=world_size)
    everything = []
    for rank in range(world_size):
        own = [(shard, place) for shard in range(rank, 7, world_size) for place in range(counts[shard])]
        rounds = [
            [order.place((n + k * len(own)) * world_size + rank) for n in range(len(own))] for k in range(2)
        ]
        assert sorted(rounds[0]) == sorted(rounds[1]) == own
        assert rounds[0] != rounds[1]
        everything += own
    assert len(everything) == len(set(everything)) == sum(counts)


def test_few_shards_are_needed_at_a_time_and_they_are_shuffled():
    order = ShardOrder([50] * 8, seed=0, window=2, world_size=1)
    windows = [[order.place(index) for index in range(start, start + 100)] for start in range(0, 400, 100)]
    assert [len({shard for shard, _ in window}) for window in windows] == [2, 2, 2, 2]
    assert sum(a != b for (a, _), (b, _) in zip(windows[0], windows[0][1:], strict=False)) > 30
    assert pickle.loads(pickle.dumps(order)).place(123) == order.place(123)


def test_fewer_shards_than_processes_are_refused():
    with pytest.raises(ConfigError, match="got 2 for 3 processes"):
        ShardOrder([5, 5], seed=0, window=2, world_size=3)


# ---- from a web server


def test_a_web_server_s_shards_are_downloaded_once(served, folder, tmp_path):
    address, asked, _ = served
    here, there = mixtures(folder), mixtures(f"{address}/", tmp_path / "cache")
    assert asked == ["/shards.json"]
    for dataset in (there, pickle.loads(pickle.dumps(there))):  # as two workers
        for index in range(7):
            assert torch.equal(dataset[index]["mixture"], here[index]["mixture"])
    assert sorted(asked) == ["/shard-000000.tar", "/shard-000001.tar", "/shard-000002.tar", "/shard-000003.tar",
                             "/shards.json"]  # fmt: skip


def test_one_shard_may_be_asked_for(served, folder):
    for place in (f"{served[0]}/shard-000003.tar", f"{folder}/shard-000003.tar"):
        assert [shard.mixtures for shard in read_indices([place], sample_rate=RATE, talkers=2)] == [1]
    with pytest.raises(ManifestError, match="no such shard"):
        read_indices([f"{folder}/shard-000009.tar"], sample_rate=RATE, talkers=2)


def test_downloaded_shards_beyond_the_limit_are_deleted(served, tmp_path):
    shards = read_indices([served[0]], sample_rate=RATE, talkers=2)
    cache = ShardCache(tmp_path, limit_gb=2.5 * shards[0].bytes / 1e9)
    opened = [cache.open(shard) for shard in shards[:3]]
    assert {path.stem for path in tmp_path.glob("*.tar")} == {shard.sha256 for shard in shards[1:3]}
    assert opened[0].record(0)["id"]  # a worker that still reads it


def test_workers_make_room_without_getting_into_each_other_s_way(tmp_path, monkeypatch):
    names = ("a", "b", "c", "opened", "new")
    for place, name in enumerate(names):
        (tmp_path / f"{name}.tar").write_bytes(b"x" * 1000)
        os.utime(tmp_path / f"{name}.tar", ns=(place, place))
    cache = ShardCache(tmp_path)
    with atomic_write(tmp_path / "unfinished.tar") as beside:  # another worker downloads this one,
        beside.write_bytes(b"x" * 1000)
        os.utime(beside, ns=(0, 0))
        stat = Path.stat

        def gone(self: Path, **options: bool) -> os.stat_result:
            if self.name == "a.tar":  # and has just deleted this one,
                self.unlink(missing_ok=True)
            return stat(self, **options)

        monkeypatch.setattr(Path, "stat", gone)
        with _locked(tmp_path / "opened.lock"):  # and is about to open that one
            cache._make_room(1500, keep=tmp_path / "new.tar")
        assert {path.name for path in tmp_path.glob("[!.]*.tar")} == {"opened.tar", "new.tar"}
        assert beside.exists()


def test_what_is_not_what_the_index_says_is_refused_and_not_kept(served, tmp_path):
    address, _, copy = served
    shard = read_indices([address], sample_rate=RATE, talkers=2)[0]
    content = bytearray((copy / "shard-000000.tar").read_bytes())
    content[600] ^= 1
    (copy / "shard-000000.tar").write_bytes(content)
    with pytest.raises(ManifestError, match="other bytes than its index says"):
        ShardCache(tmp_path).open(shard)
    (copy / "shard-000000.tar").write_bytes(content + b"\0" * 10**6)
    with pytest.raises(CseError, match="got more than the"):
        ShardCache(tmp_path).open(shard)
    (copy / "shard-000000.tar").unlink()
    with pytest.raises(CseError, match=r"shard-000000\.tar: cannot download: 404"):
        ShardCache(tmp_path).open(shard)
    assert list(tmp_path.glob("*.tar")) == []
    assert list(tmp_path.glob(".cse-*")) == []


# ---- strangers


@pytest.mark.parametrize(
    "place", ["pipe:touch {mark}", "PIPE:touch {mark}", "file:///etc", "s3://bucket/set", "ftp://host/set"]
)
def test_no_address_starts_a_program(place, tmp_path):
    mark = tmp_path / "mark"
    with pytest.raises(ConfigError, match="expected a path, http:// or https://"):
        read_indices([place.format(mark=mark)], sample_rate=RATE, talkers=2)
    assert not mark.exists()


@pytest.mark.parametrize(
    "name", ["../x.tar", "/etc/passwd", "a/b.tar", "x.tar.gz", "http://host/x.tar", "", 5]
)
def test_an_index_cannot_name_other_places(folder, tmp_path, name):
    index = json.loads((folder / "shards.json").read_text())
    index["shards"][0]["name"] = name
    (tmp_path / "shards.json").write_text(json.dumps(index))
    with pytest.raises(ManifestError, match="expected name, mixtures, bytes, sha256"):
        read_indices([str(tmp_path)], sample_rate=RATE, talkers=2)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "sample_rate": "x"}', "[" * 10**5]
)
def test_what_is_no_index_is_one_line(tmp_path, text):
    (tmp_path / "shards.json").write_text(text)
    with pytest.raises(ManifestError, match=r"shards\.json"):
        read_indices([str(tmp_path)], sample_rate=RATE, talkers=2)


class Harm:
    """Does something when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def tar(path: Path, members: list[tuple[str, bytes]], link: str | None = None) -> ShardAddress:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if link is not None:
            member = tarfile.TarInfo("a.mixture.flac")
            member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member)
    return ShardAddress(str(path), 1, path.stat().st_size, "0" * 64)


def test_nothing_in_a_shard_is_unpickled_followed_or_unpacked(tmp_path):
    mark = tmp_path / "mark"
    harm = pickle.dumps(Harm(mark))
    members = [("a.json", b'{"id": "a"}'), ("a.pkl", harm), ("a.pyd", harm), ("a.target.flac", harm)]
    shard = tar(tmp_path / "x.tar", members, link="/etc/passwd")
    opened = OpenShard(tmp_path / "x.tar", shard)
    assert opened.record(0) == {"id": "a"}
    with pytest.raises(ManifestError, match=r"a\.target\.flac"):
        opened.audio(0, "target")
    with pytest.raises(ManifestError, match="not in the shard"):
        opened.audio(0, "mixture")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar"]


def test_damaged_shards_are_one_line(folder, tmp_path):
    good = (folder / "shard-000000.tar").read_bytes()
    path = tmp_path / "x.tar"
    for content, part in (
        (b"", "got no shard"),
        (b"no tar" * 1000, "got no shard"),
        (gzip.compress(good), "got no shard"),
        (good[: len(good) // 2], "got "),
    ):
        path.write_bytes(content)
        with pytest.raises(ManifestError, match=part):
            OpenShard(path, ShardAddress(str(path), 2, len(content), "0" * 64))
    for text in (b"", b"[]", b"\xff", b"[" * 10**6):
        opened = OpenShard(path, tar(path, [("a.json", text)]))
        with pytest.raises(ManifestError, match=r"a\.json: got no JSON object"):
            opened.record(0)


# ---- the command


TINY = [
    "data=shards", "sample_rate=8000", "filterbank.channels=66", "filterbank.hop_size=32",
    "+backbone.bottleneck=16", "+backbone.hidden=32", "+backbone.blocks=2", "+backbone.repeats=1",
    "data.batch_size=2", "data.steps_per_epoch=2", "data.mixing.segment_s=0.4", "data.validation_segment_s=0.5",
    "data.shuffle_shards=2", "optimizer.warmup_steps=2", "optimizer.total_steps=4", "trainer.accelerator=cpu",
    "trainer.progress_bar=false", "trainer.checkpoint_every_steps=1",
]  # fmt: skip


def test_a_model_trains_from_shards_and_goes_on_with_those_it_has_not_seen(served, folder, tmp_path):
    from cse.checkpoint import load_checkpoint

    local = [*TINY, f"data.shards=[{folder}]", f"data.validation_shards=[{folder}/shard-000003.tar]"]
    assert main(["train", *local, f"output={tmp_path / 'one'}", "trainer.max_steps=4"]) == 0
    remote = [*TINY, f"data.shards=[{served[0]}]", f"data.validation_shards=[{served[0]}/shard-000003.tar]"]
    assert main(["train", *remote, f"output={tmp_path / 'two'}", "trainer.max_steps=3"]) == 0
    assert (
        main(["train", *remote, f"output={tmp_path / 'two'}", "trainer.max_steps=4", "data.workers=1"]) == 0
    )
    one, two = (load_checkpoint(tmp_path / name / "model").state for name in ("one", "two"))
    for name, weights in one.items():
        assert torch.allclose(weights, two[name], atol=1e-6), name


def test_shards_at_another_rate_are_one_line(folder, tmp_path, capsys):
    places = [f"data.shards=[{folder}]", f"data.validation_shards=[{folder}]"]
    assert main(["train", *TINY, *places, "sample_rate=16000", f"output={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "got mixtures of 2 talkers at 8000 Hz, expected 2 at 16000 Hz" in error


@pytest.mark.slow  # loads the text encoder
def test_a_model_under_cues_trains_from_shards(folder, tmp_path):
    options = [
        *TINY,
        "experiment=cont_ext",
        f"data.shards=[{folder}]",
        f"output={tmp_path}",
        "trainer.max_steps=1",
    ]
    assert main(["train", *options, f"data.validation_shards=[{folder}/shard-000003.tar]"]) == 0
    assert (tmp_path / "model" / "config.json").is_file()
