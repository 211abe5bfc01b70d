"""What the service sends of the folder of `cse export browser`, and how that folder is made."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from cse.cli import main
from cse.errors import ConfigError, CseError
from cse.ondevice import web_runtime
from cse.ondevice.browser import MANIFEST, export_browser
from cse.ondevice.web_runtime import MODULE, fetch_runtime

pytest.importorskip("onnx", reason='needs: pip install "cse[onnx]"')
applications = pytest.importorskip("starlette.applications", reason='needs: pip install "cse[service]"')
pytest.importorskip("httpx", reason='needs: pip install "cse[service]"')

WASM = b"\0asm" + 1000 * b"code"


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> tuple[Path, str]:
    """A package like npm's, and its digest."""
    path = tmp_path_factory.mktemp("npm") / "onnxruntime-web.tgz"
    contents = {
        f"package/dist/{MODULE}": b"export const env = {};",
        "package/dist/ort-wasm-simd-threaded.wasm": WASM,
        "package/dist/ort.webgpu.min.mjs": b"not needed",
        "package/package.json": b"{}",
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path, "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


@pytest.fixture(scope="module")
def folder(package, tmp_path_factory) -> Path:
    """As `cse export browser` makes it of the small packaged separator."""
    path = tmp_path_factory.mktemp("browser") / "files"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch_runtime, "__kwdefaults__", {"package": None, "integrity": package[1]})
        arguments = ["export", "browser", "separator-2spk-16k", "--precision", "float16"]
        assert main([*arguments, "-o", str(path), "--runtime", str(package[0])]) == 0
        (path / "old.wasm").touch()
        assert main([*arguments, "-o", str(path), "--runtime", str(package[0])]) == 0, (
            "an older one is replaced"
        )
    assert not (path / "old.wasm").exists()
    return path


def test_the_manifest_names_what_is_there(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    model, runtime = manifest["model"], manifest["runtime"]
    assert (model["name"], model["precision"], model["talkers"]) == ("separator-2spk-16k", "float16", 2)
    assert model["sample_rate_hz"] == 16000
    content = (folder / model["file"]).read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (model["bytes"], model["sha256"])
    assert runtime["file"] == MODULE and runtime["version"] == web_runtime.VERSION
    assert runtime["bytes"] == len(WASM) + (folder / MODULE).stat().st_size
    names = {file.name for file in folder.iterdir() if file.suffix != ".gz"}
    assert names == {MANIFEST, MODULE, model["file"], "ort-wasm-simd-threaded.wasm", "package.json"}


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("ort-wasm-simd-threaded.wasm", "application/wasm"),
        (MODULE, "text/javascript"),
        ("separator-2spk-16k.float16.onnx", "application/octet-stream"),
        (MANIFEST, "application/json"),
    ],
)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_files_come_as_browsers_want_them(folder, name, media_type, encoding):
    from starlette.testclient import TestClient

    from cse.service.browser_files import add_browser_files

    app = applications.Starlette()
    add_browser_files(app, folder)
    client = TestClient(app)
    answer = client.get(f"/ondevice/{name}", headers={"Accept-Encoding": encoding})
    assert answer.status_code == 200 and answer.content == (folder / name).read_bytes()
    assert answer.headers["content-type"].split(";")[0] == media_type
    compressed = encoding == "gzip" and name != MANIFEST
    assert answer.headers.get("content-encoding") == ("gzip" if compressed else None)
    if compressed:
        assert int(answer.headers["content-length"]) == len((folder / f"{name}.gz").read_bytes())
        assert gzip.decompress((folder / f"{name}.gz").read_bytes()) == answer.content
    again = client.get(
        f"/ondevice/{name}", headers={"Accept-Encoding": encoding, "If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304 and again.content == b""
    assert client.get("/ondevice/other").status_code == 404


def test_without_a_folder_there_is_no_route(tmp_path):
    from cse.service.browser_files import add_browser_files

    app = applications.Starlette()
    add_browser_files(app, tmp_path)
    assert app.routes == []


def test_another_package_than_expected_is_refused(package, tmp_path):
    with pytest.raises(CseError, match=r"got sha512-.*, expected sha512-.*onnxruntime-web 1"):
        fetch_runtime(tmp_path, package=package[0])
    with pytest.raises(CseError, match="cannot read the package"):
        fetch_runtime(tmp_path, package=tmp_path / "missing.tgz")
    assert list(tmp_path.iterdir()) == []


def test_without_npm_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(CseError, match="install Node.js.*--runtime"):
        fetch_runtime(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {"letter.txt": "Dear"},
        {MANIFEST: '{"name": "a web app", "icons": []}', "index.html": "<p>"},
        {MANIFEST: "no JSON"},
        {
            MANIFEST: '{"model": {"file": "a.onnx"}, "runtime": {"file": "b.mjs"}}',
            "a.onnx": "",
            "letter.txt": "Dear",
        },
    ],
    ids=["no manifest", "a web app", "no JSON", "more than was exported"],
)
def test_a_folder_with_something_else_is_left_alone(tmp_path, files):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match="holds something else"):
        export_browser("separator-2spk-16k", tmp_path, precision="int8")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == files


def test_a_link_to_an_older_folder_stays_a_link(folder, package, tmp_path):
    shutil.copytree(folder, tmp_path / "files")
    (tmp_path / "link").symlink_to("files")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch_runtime, "__kwdefaults__", {"package": None, "integrity": package[1]})
        for place in (tmp_path / "link", "."):
            patch.chdir(tmp_path / "files")
            export_browser("separator-2spk-16k", place, precision="float16", package=package[0])
    assert (tmp_path / "link").is_symlink()
    assert {file.name for file in (tmp_path / "files").iterdir()} == {file.name for file in folder.iterdir()}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["files", "link"]


def test_a_file_has_no_runtime(tmp_path, capsys):
    assert main(["export", "onnx", "-o", str(tmp_path / "a.onnx"), "--runtime", "a.tgz"]) == 2
    assert "expected none" in capsys.readouterr().err
