"""Shards of a rendered set: what is in them, that nothing is lost, and that they are the same however they are made."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cse.audio import write_audio
from cse.cli import main
from cse.engines.pool import Pool
from cse.errors import ConfigError, InvalidAudioError, ManifestError
from cse.manifest import Mixture, read_mixtures, write_manifest
from cse.testing.corpus import write_mixtures
from simulate.shards import INDEX, key_of, write_shards


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    return write_mixtures(tmp_path_factory.mktemp("set"), mixtures=5, duration_s=0.4)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pcm(content: bytes | Path) -> np.ndarray:
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    return soundfile.read(source, dtype="int16")[0]


def test_a_shard_unpacked_is_the_set_again(manifest, tmp_path):
    shards = write_shards(manifest, tmp_path / "shards", size=2, progress=False)
    assert [shard.mixtures for shard in shards] == [2, 2, 1]
    index = json.loads((tmp_path / "shards" / INDEX).read_text())
    assert (index["mixtures"], index["talkers"], index["sample_rate"]) == (5, 2, 16000)
    lines = []
    for shard in shards:
        with tarfile.open(tmp_path / "shards" / shard.name) as archive:
            archive.extractall(tmp_path / "unpacked", filter="data")
            lines += [
                archive.extractfile(name).read() for name in archive.getnames() if name.endswith(".json")
            ]
    (tmp_path / "unpacked" / "mixtures.jsonl").write_bytes(b"".join(lines))
    before, after = read_mixtures(manifest), read_mixtures(tmp_path / "unpacked" / "mixtures.jsonl")
    for one, other in zip(before, after, strict=True):
        assert (one.id, one.history, one.snr_db, one.target_text) == (
            other.id, other.history, other.snr_db, other.target_text
        )  # fmt: skip
        for path, again in zip(
            (one.mixture, one.target, *one.interferers, one.enrollment),
            (other.mixture, other.target, *other.interferers, other.enrollment),
            strict=True,
        ):
            assert np.array_equal(pcm(path), pcm(again))


def test_files_are_grouped_as_webdataset_expects(manifest, tmp_path):
    shard = write_shards(manifest, tmp_path, size=5, progress=False)[0]
    with tarfile.open(tmp_path / shard.name) as archive:
        members = archive.getmembers()
    keys = [member.name.partition(".")[0] for member in members]
    assert keys == sorted(keys, key=[*dict.fromkeys(keys)].index)
    kinds = [member.name.partition(".")[2] for member in members[:5]]
    assert kinds == ["json", "mixture.flac", "target.flac", "interferer1.flac", "enrollment.flac"]
    assert {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in members} == {
        (0, 0, 0, "", 0o644)
    }


def test_the_bytes_are_the_same_in_every_run_and_by_every_engine(manifest, tmp_path):
    write_shards(manifest, tmp_path / "one", size=2, progress=False)
    write_shards(manifest, tmp_path / "two", size=2, engine=Pool(2), progress=False)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_what_is_complete_is_kept_and_what_is_missing_is_made(manifest, tmp_path):
    write_shards(manifest, tmp_path, size=2, progress=False)
    first = files(tmp_path)
    kept = (tmp_path / "shard-000000.tar").stat().st_mtime_ns
    for name in (INDEX, "shard-000001.tar"):
        (tmp_path / name).unlink()
    write_shards(manifest, tmp_path, size=2, progress=False)
    assert files(tmp_path) == first
    assert (tmp_path / "shard-000000.tar").stat().st_mtime_ns == kept
    with pytest.raises(ConfigError, match="other values of size"):
        write_shards(manifest, tmp_path, size=3, progress=False)


def one_mixture(folder: Path, **values: object) -> Mixture:
    write_audio(folder / "mixture.wav", np.full(8000, 0.25, np.float32), 16000)
    fields = {
        "id": "a",
        "mixture": folder / "mixture.wav",
        "target": None,
        "sample_rate": 16000,
        "duration_s": 0.5,
    }
    return Mixture(**{**fields, **values})


def test_files_that_other_keys_name_come_along(tmp_path):
    write_audio(tmp_path / "reverberant.wav", np.full(8000, 0.5, np.float32), 16000)
    extra = {"target_in_mixture": "reverberant.wav", "channel": "opus.wav"}
    write_manifest(tmp_path / "m.jsonl", [one_mixture(tmp_path, id="a.1", extra=extra)])
    shard = write_shards(tmp_path / "m.jsonl", tmp_path / "out", progress=False)[0]
    with tarfile.open(tmp_path / "out" / shard.name) as archive:
        assert archive.getnames() == ["a_1.json", "a_1.mixture.flac", "a_1.reverberant.flac"]
        record = json.loads(archive.extractfile("a_1.json").read())
    assert (record["id"], record["mixture"], record["target"]) == ("a.1", "a_1.mixture.flac", None)
    assert (record["target_in_mixture"], record["channel"]) == ("a_1.reverberant.flac", "opus.wav")


def test_arrays_keep_all_their_channels(tmp_path, rng):
    array = rng.uniform(-0.5, 0.5, (3, 8000)).astype(np.float32)
    write_audio(tmp_path / "mixture_array.wav", array, 16000)
    record = one_mixture(tmp_path, extra={"mixture_array": "mixture_array.wav"})
    write_manifest(tmp_path / "m.jsonl", [record])
    shard = write_shards(tmp_path / "m.jsonl", tmp_path / "out", progress=False)[0]
    with tarfile.open(tmp_path / "out" / shard.name) as archive:
        stored = archive.extractfile("a.mixture_array.flac").read()
    assert np.array_equal(pcm(stored), pcm(tmp_path / "mixture_array.wav"))
    write_audio(tmp_path / "mixture_array.wav", np.tile(array, (3, 1)), 16000)
    with pytest.raises(InvalidAudioError, match=r"mixture_array\.wav: got 9 channels, expected at most 8"):
        write_shards(tmp_path / "m.jsonl", tmp_path / "again", progress=False)


def test_keys_have_nothing_in_them_that_means_something():
    assert key_of("../a.b") == "___a_b"
    assert key_of("Ω1") == "_1"


def test_what_cannot_be_told_apart_or_read_is_named(tmp_path):
    records = [one_mixture(tmp_path, id=name) for name in ("a.1", "a_1")]
    write_manifest(tmp_path / "m.jsonl", records)
    with pytest.raises(ManifestError, match=r"a\.1 and a_1 both become the key a_1"):
        write_shards(tmp_path / "m.jsonl", tmp_path / "out", progress=False)
    write_manifest(tmp_path / "m.jsonl", records[:1])
    (tmp_path / "mixture.wav").write_text("no audio")
    with pytest.raises(InvalidAudioError, match=r"^shard-000000\.tar: .*mixture\.wav"):
        write_shards(tmp_path / "m.jsonl", tmp_path / "out", progress=False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["settings.json"]


def test_the_command_says_where_the_index_is(manifest, tmp_path, capsys):
    assert main(["shards", str(manifest), str(tmp_path), "--size", "3"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / INDEX}\n"
    assert "2 shards" in captured.err
    assert main(["shards", str(manifest), str(tmp_path / "x"), "--size", "0"]) == 2
    assert "size: got 0" in capsys.readouterr().err
