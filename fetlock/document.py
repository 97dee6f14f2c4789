"""YAML as configurations use it: the core schema of YAML 1.2, no duplicate keys, and floats that come back exactly.

PyYAML speaks YAML 1.1, in which `3e-4` is text, `yes` is true, `1:30` is 90 and a key given twice silently takes its last value.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path

import yaml
from pydantic import JsonValue

from robot.errors import UsageError

# YAML 1.2.2, section 10.3.2: the core schema's resolution of plain scalars, without octal and hexadecimal.
_SCALARS = {
    "tag:yaml.org,2002:null": (r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    "tag:yaml.org,2002:bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    "tag:yaml.org,2002:int": (r"^[-+]?[0-9]+$", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        "-+.0123456789",
    ),
}


class _Loader(yaml.SafeLoader):
    """Safe, in YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own attribute)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} occurs twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        return int(self.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


class _Dumper(yaml.SafeDumper):
    """Writes lists on one line, and quotes whatever `_Loader` would read as another type."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own attribute)

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_row(self, values: list[JsonValue]) -> yaml.Node:
        return self.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(list, _Dumper.represent_row)
for _tag, (_pattern, _first) in _SCALARS.items():
    for _speaker in (_Loader, _Dumper):
        _speaker.add_implicit_resolver(_tag, re.compile(_pattern), [char if char != "\0" else "" for char in _first])


def parse(text: str | bytes, where: str) -> JsonValue:
    """Read one YAML document: mappings, lists, text, numbers, booleans and null.

    Args:
        text: The document.
        where: Named in errors.

    Raises:
        UsageError: If it is no YAML, or holds anything else.
    """
    try:
        value = yaml.load(text, _Loader)
        return _as_json(value, where, ())
    except yaml.MarkedYAMLError as error:
        raise UsageError(f"{where}{_place(error)}: {_problem(error)}: correct the YAML") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{where}: {' '.join(str(error).split())}: correct the YAML") from error
    except RecursionError as error:
        raise UsageError(f"{where}: nested too deeply, or a part that holds itself: configurations are three levels deep") from error


def read(path: Path) -> dict[str, JsonValue]:
    """Read a file that holds a mapping; an empty file is an empty one.

    Raises:
        UsageError: If it cannot be read, is no YAML or holds no mapping.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: the configuration cannot be read ({error.strerror}): give an existing file") from error
    value = parse(content, str(path))
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{path}: holds {describe(value)} where keys and values were expected (`seed: 0`)")
    return value


def dump(value: JsonValue) -> str:
    """Write a document that `parse` reads back as the same value."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    # PyYAML ends a document that is a lone scalar with a marker.
    return text.removesuffix("...\n")


def describe(value: object) -> str:
    """Name a value and its type for an error message, on one line and shortened."""
    if value is None:
        return "null"
    names = {bool: "the boolean", int: "the integer", float: "the number", str: "the text", list: "the list", dict: "the mapping"}
    text = dump(value).strip() if isinstance(value, bool | int | float) else repr(value)
    return f"{names.get(type(value), 'the value')} {text if len(text) <= 60 else text[:57] + '...'}"


def _as_json(value: object, where: str, path: tuple[str, ...]) -> JsonValue:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_as_json(item, where, path) for item in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise UsageError(f"{where}: {'.'.join(path) or 'the top level'} has the key {key!r}, which is no text: keys are names")
        return {key: _as_json(item, where, (*path, key)) for key, item in value.items()}
    raise UsageError(
        f"{where}: {'.'.join(path)} is a {type(value).__name__}: only text, numbers, booleans, null, lists and mappings are read"
    )


def _place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    return "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"


def _problem(error: yaml.MarkedYAMLError) -> str:
    return " ".join(f"{error.context or ''} {error.problem or ''}".split())
