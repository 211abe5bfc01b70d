"""What `pip install` gives people: declared dependencies, a wheel with everything in it, a light import."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions, version
from itertools import chain
from pathlib import Path

import pytest

USER_EXTRAS = set("train simulate offline lora codecs metrics service matrix onnx ray".split())


@pytest.fixture(scope="module")
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_import_is_light(repository: Path):
    """A service that only extracts must not pay for training, simulation or model zoos at start."""
    heavy = (
        "pytorch_lightning lightning hydra omegaconf pyroomacoustics fastapi uvicorn telegram nio transformers "
        "speechbrain asteroid pocketsphinx resemblyzer matplotlib"
    ).split()
    code = f"import sys, cse; print(*sorted(set({heavy}) & set(sys.modules)))"
    result = _python(code, folder=repository)
    assert result.split() == []


def _python(code: str, *, folder: Path) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_public_names_are_the_contract():
    import cse

    assert sorted(cse.__all__) == ["Extraction", "Extractor", "Turn", "__version__"]
    assert version("cse") == cse.__version__


def test_wheel_is_complete_and_works_outside_the_source_tree(repository: Path, tmp_path: Path):
    if tuple(int(part) for part in version("setuptools").split(".")[:2]) < (77, 0):
        pytest.skip(f"setuptools {version('setuptools')} cannot build this project, 77 or newer can")
    source = tmp_path / "source"  # a copy: building leaves folders behind, and would pick up old ones
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(repository / name, source)
    for name in ("cse", "simulate", "configs"):
        shutil.copytree(repository / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(source)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("cse-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        archive.extractall(tmp_path / "installed")

    wanted = {f"cse/{name}" for name in _files(source / "cse")} | {
        f"simulate/{name}" for name in _files(source / "simulate")
    }
    wanted |= {f"cse/configs/{name}" for name in _files(source / "configs")}
    assert wanted - inside == set()
    assert {"cse/py.typed", "simulate/py.typed"} <= inside
    assert any(re.fullmatch(r"cse/pretrained/[^/]+/model.safetensors", name) for name in inside)
    found = _python(
        "import cse.configs, simulate; print(*cse.configs.__path__)", folder=tmp_path / "installed"
    )
    assert Path(found.strip()) == tmp_path / "installed" / "cse" / "configs"


def _files(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def test_extras(project: dict):
    extras = project["optional-dependencies"]
    assert set(extras) == USER_EXTRAS | {"dev", "all"}
    (everything,) = extras["all"]
    assert set(re.search(r"\[(.*)\]", everything)[1].split(",")) == USER_EXTRAS
    assert project["scripts"] == {"cse": "cse.cli:main"}


def test_every_imported_library_is_declared(project: dict, repository: Path):
    declared = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    names = {_normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in declared}
    # libraries that a declared one is made of
    names |= {"asteroid-filterbanks", "omegaconf", "tokenizers", "huggingface-hub", "packaging", "pyyaml"}
    distributions = packages_distributions()
    undeclared = {}
    for path in [*(repository / "cse").rglob("*.py"), *(repository / "simulate").rglob("*.py")]:
        for module in _imports(path) - sys.stdlib_module_names - {"cse", "simulate"}:
            found = {_normal(name) for name in distributions.get(module, [module])}
            if not found & names:
                undeclared.setdefault(module, path.relative_to(repository).as_posix())
    assert undeclared == {}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_no_file_is_too_long_to_read(repository: Path):
    lengths = {
        path.relative_to(repository).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in ("cse", "simulate", "configs", "egs")
        for path in (repository / folder).rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_make_help_lists_the_targets(repository: Path):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    result = subprocess.run(["make", "help"], cwd=repository, capture_output=True, text=True, check=True)
    listed = {line.split()[0] for line in result.stdout.splitlines()}
    assert {"demo", "test", "lint", "bench", "recipe"} <= listed


def test_continuous_integration_runs_the_tests(repository: Path):
    script = repository / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert re.search(r"^make test$", script.read_text(encoding="utf-8"), re.MULTILINE)
