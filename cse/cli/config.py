"""From `key=value` on the command line to the typed arguments of our functions, by way of Hydra.

A config in `configs/` names what has no default, and what differs from one experiment to the next. Every
other option is an argument of the function that gets it, with its default there: `schema` says which function
gets which node of the config. No DictConfig leaves `cse/cli/`.
"""

from __future__ import annotations

import difflib
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cse.cli.convert import convert, type_hints, written
from cse.errors import ConfigError, MissingExtraError, one_line

if TYPE_CHECKING:
    from omegaconf import DictConfig

T = TypeVar("T")
Schema = Mapping[str, Callable[..., Any]]

MISSING = "???"
_HYDRA_VERSION_BASE = "1.3"


def compose(config_name: str, overrides: Sequence[str], *, schema: Schema | None = None) -> DictConfig:
    """Read a packaged config and apply Hydra overrides.

    Args:
        config_name: Its name in `configs/`, without `.yaml`.
        overrides: What the user typed: `key=value`, `group=choice`, and Hydra's `+key=value` and `~key`.
        schema: For nodes of the config ("" is its top) the function or class that `call` will give them to;
            its arguments are options too, without being in the config.

    Raises:
        ConfigError: An override of an unknown key (valid ones are listed), or a value that Hydra cannot read.
        MissingExtraError: Hydra is not installed.
    """
    from omegaconf.errors import OmegaConfBaseException

    arguments = _arguments(schema or {})
    for override in overrides:
        _check_form(override)
    with ExitStack() as stack:
        hydra = _hydra(stack)
        errors = (hydra.errors.HydraException, OmegaConfBaseException)
        wanted = [f"++{one}" if one.partition("=")[0] in arguments else one for one in overrides]
        try:
            return hydra.compose(config_name, overrides=wanted)
        except errors as error:
            base, choices = _base(hydra, config_name)
            chosen = [one for one in overrides if one.partition("=")[0] in choices]
            with suppress(
                *errors
            ):  # a prepared config has keys of its own; without one the message is about that
                base, _ = _base(hydra, config_name, chosen)
            known = [*_leaves(base), *choices, *arguments]
            for override in overrides:
                _check_key(override, known)
            raise ConfigError(f"config {config_name}: {_short(error)}") from error


def plain(config: DictConfig) -> dict[str, Any]:
    """Turn a config into dictionaries, lists and values, with its `${references}` followed.

    Raises:
        ConfigError: A required value (`???`) was not given, or a reference leads nowhere.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    unresolved = OmegaConf.to_container(config, resolve=False)
    assert isinstance(unresolved, dict)
    missing = [
        key for key, value in _leaves({str(k): v for k, v in unresolved.items()}).items() if value == MISSING
    ]
    if missing:
        raise ConfigError(
            f"{missing[0]} is missing; give it as {missing[0]}=VALUE (--help says what it means)"
        )
    try:
        values = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"config: {one_line(error)}") from error
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def usage(config_name: str, synopsis: str, *, schema: Schema | None = None) -> str:
    """What `--help` prints: options of a config and of `schema`, with their defaults and meanings."""
    with ExitStack() as stack:
        hydra = _hydra(stack)
        base, choices = _base(hydra, config_name)
        comments = _comments(stack, config_name, choices)
        available = _available(stack, choices)
    rows = [(key, written(value), comments.get(key, "")) for key, value in _leaves(base).items()]
    for key, parameter in _arguments(schema or {}).items():
        if key not in {row[0] for row in rows}:
            rows.append((key, written(parameter.default), parameter.meaning))
    rows.sort(key=lambda row: row[0].count("."))  # stable: the nodes keep their order
    shown = [(f"{key}.*" if value == "{}" else f"{key}={value}", meaning) for key, value, meaning in rows]
    width = min(34, max(len(option) for option, _ in shown))
    lines = [
        f"usage: {synopsis}",
        "",
        f"options as KEY=VALUE, with their defaults ({MISSING}: none, give one):",
    ]
    lines += [f"  {option:<{width}}  {meaning}".rstrip() for option, meaning in shown]
    if choices:
        lines += [
            "",
            "prepared configs, as GROUP=NAME:",
            *(
                f"  {name}: {', '.join(available[name])} (default: {'none of them' if choice == 'None' else choice})"
                for name, choice in choices.items()
            ),
        ]
    return "\n".join(lines)


def call(function: Callable[..., T], options: Mapping[str, Any], name: str = "") -> T:
    """Call a function or class with options as keyword arguments, checked against its signature.

    Lists become tuples, strings paths, and whole numbers floats where the signature says so. Values of types
    that no command line can hold (other than int, float, str, bool, Path, Literal, tuples, None) pass as they
    are.

    Args:
        function: With keyword arguments only.
        options: Its arguments; `???` stands for one that was not given.
        name: The node of the config they are from, for messages.

    Raises:
        ConfigError: An unknown or missing option, or one of the wrong type.

    Example:
        >>> def resize(*, size_m: tuple[float, float]) -> str:
        ...     return f"room {size_m}"
        >>> call(resize, {"size_m": [4, 3.5]}, "rooms")
        'room (4.0, 3.5)'
        >>> call(resize, {"sizes_m": 4}, "rooms")
        Traceback (most recent call last):
        cse.errors.ConfigError: unknown option rooms.sizes_m; did you mean rooms.size_m? options here: ...
    """
    given = {
        key: value for key, value in options.items() if not (isinstance(value, str) and value == MISSING)
    }
    parameters = inspect.signature(function).parameters
    hints = type_hints(function)
    known = [_join(name, key) for key in parameters]
    for key in given:
        if key not in parameters:
            raise _unknown(_join(name, str(key)), known)
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in given:
            raise ConfigError(f"{_join(name, key)} is missing; give it as {_join(name, key)}=VALUE")
    return function(
        **{key: convert(value, hints.get(key, Any), _join(name, key)) for key, value in given.items()}
    )


# ---- Hydra


def _hydra(stack: ExitStack) -> Any:
    """The module, with the packaged configs as its search path until `stack` closes."""
    try:
        import hydra
    except ImportError as error:
        raise MissingExtraError(feature="reading configs", extra="train", package="hydra-core") from error
    folder = _config_folder(stack)
    stack.enter_context(hydra.initialize_config_dir(str(folder), version_base=_HYDRA_VERSION_BASE))
    return hydra


def _config_folder(stack: ExitStack) -> Path:
    """The folder of the configs: the package `cse.configs`, or configs/ beside `cse/` in a bare checkout."""
    try:
        return Path(stack.enter_context(as_file(files("cse.configs")))).resolve()
    except ModuleNotFoundError:
        checkout = Path(__file__).resolve().parents[2] / "configs"
        if not checkout.is_dir():
            raise ConfigError(
                f"no configs: neither a package cse.configs nor {checkout}; install cse again"
            ) from None
        return checkout


def _base(
    hydra: Any, config_name: str, overrides: Sequence[str] = ()
) -> tuple[dict[str, Any], dict[str, str]]:
    """The config without overrides, or with a few, and its choice of every group."""
    from omegaconf import OmegaConf

    config = hydra.compose(config_name, overrides=list(overrides), return_hydra_config=True)
    choices = {
        str(group): str(choice)
        for group, choice in config.hydra.runtime.choices.items()
        if not str(group).startswith("hydra/")
    }
    base = OmegaConf.to_container(config, resolve=False)
    assert isinstance(base, dict)
    return {str(key): value for key, value in base.items() if key != "hydra"}, choices


def _short(error: Exception) -> str:
    """Hydra's message without its search path and its advertisement."""
    text = re.split(r"\s*(?:Config search path:|See https?://)", one_line(error))[0]
    if "at input" in text:
        text += "; quote values with special characters, e.g. 'output=\"a, b\"'"
    return text


# ---- keys


def _check_form(override: str) -> None:
    if override.startswith("-") or ("=" not in override and not override.startswith("~")):
        raise ConfigError(f"got {override!r}, expected options as KEY=VALUE, e.g. seed=0 (--help lists them)")


def _check_key(override: str, known: Sequence[str]) -> None:
    key = override.partition("=")[0].partition("@")[0]
    if key.startswith(("+", "~")):
        return
    if not any(other == key or other.startswith(f"{key}.") for other in known):
        raise _unknown(key, known)


def _unknown(key: str, known: Sequence[str]) -> ConfigError:
    """Name the nearest key, and list those of the same node."""
    node = key.rpartition(".")[0]
    same_node = sorted(other for other in known if other.rpartition(".")[0] == node) or sorted(known)
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return ConfigError(f"unknown option {key}; {hint}options here: {', '.join(same_node)}")


def _leaves(node: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Values by dotted key; lists and empty nodes are values.

    >>> _leaves({"seed": 0, "rooms": {"rt60_s": [0.2, 0.6]}, "noise": {}})
    {'seed': 0, 'rooms.rt60_s': [0.2, 0.6], 'noise': {}}
    """
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        inner = isinstance(value, Mapping) and value
        leaves.update(_leaves(value, _join(name, key)) if inner else {_join(name, key): value})
    return leaves


def _join(node: str, key: str) -> str:
    return f"{node}.{key}" if node else str(key)


# ---- signatures


class _Argument(typing.NamedTuple):
    default: Any
    meaning: str


def _arguments(schema: Schema) -> dict[str, _Argument]:
    """Options by dotted key, from the signatures; arguments that are nodes of their own are left out."""
    found: dict[str, _Argument] = {}
    for node, function in schema.items():
        # what a class inherits is described where it is defined
        described = reversed(inspect.getmro(function)) if inspect.isclass(function) else (function,)
        meanings = {
            key: text for one in described for key, text in _meanings(inspect.getdoc(one) or "").items()
        }
        for key, parameter in inspect.signature(function).parameters.items():
            if _join(node, key) not in schema:
                default = MISSING if parameter.default is parameter.empty else parameter.default
                found[_join(node, key)] = _Argument(default, meanings.get(key, ""))
    return found


def _meanings(doc: str) -> dict[str, str]:
    """Argument descriptions of a Google-style docstring.

    >>> _meanings("Do.\\n\\nArgs:\\n    a: First\\n        of all.\\n    b: Then.\\n\\nReturns:\\n    c: No.")
    {'a': 'First of all.', 'b': 'Then.'}
    """
    section = re.search(r"^(?:Args|Attributes):\n((?:[ ]+.*\n?|\n)+)", doc, flags=re.MULTILINE)
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", section[1] if section else "", flags=re.MULTILINE)
    return {key: " ".join(text.split()) for key, text in entries}


def _available(stack: ExitStack, groups: Iterable[str]) -> dict[str, list[str]]:
    """The prepared configs of each group; of some, those of other groups are in subfolders."""
    folder = _config_folder(stack)
    return {
        group: sorted(
            path.relative_to(folder / group).with_suffix("").as_posix()
            for path in (folder / group).rglob("*.yaml")
            if path.stem != "common"
        )
        for group in groups
    }


def _comments(stack: ExitStack, config_name: str, choices: Mapping[str, str]) -> dict[str, str]:
    """Comments behind `key: value  # comment` in the config and the chosen group configs, by dotted key."""
    folder = _config_folder(stack)
    sources = [("", folder / f"{config_name}.yaml")]
    sources += [
        (group.replace("/", "."), folder / group / f"{choice}.yaml") for group, choice in choices.items()
    ]
    found: dict[str, str] = {}
    for node, path in sources:
        if path.is_file():
            found.update(
                {_join(node, key): text for key, text in _commented(path.read_text(encoding="utf-8"))}
            )
    return found


def _commented(text: str) -> Iterator[tuple[str, str]]:
    """Dotted keys that have a comment behind their value.

    >>> list(_commented("a: 1  # one\\nb:\\n  c: 2  # two"))
    [('a', 'one'), ('b.c', 'two')]
    """
    parents: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = re.match(r"( *)(\w+):(.*)$", line)
        if match is None:
            continue
        indent = len(match[1])
        parents = [*(parent for parent in parents if parent[0] < indent), (indent, match[2])]
        _, hash_sign, comment = match[3].partition(" #")
        if hash_sign:
            yield ".".join(key for _, key in parents), comment.strip()
