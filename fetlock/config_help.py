"""The help text of all configuration keys: value, type, bounds, and the comment above the key in the source."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
import typing
from pathlib import Path

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from fetlock.document import dump
from fetlock.flags import Leaf, leaves, models_of

# Comment lines and the field right below them.
_COMMENTED = re.compile(r"((?:^ +# .*\n)+)^ +(\w+):", re.MULTILINE)
_INDENT = " " * 6


def config_help(model: type[BaseModel], values: dict[str, JsonValue], source: Path) -> str:
    """List every key of `model` as a flag.

    Args:
        model: Of the configuration.
        values: What holds without flags.
        source: The file that they come from.
    """
    comments = dict(_comments(model, ()))
    lines = [
        "configuration:",
        f"  --config FILE   read instead of {source}",
        "  --overlay FILE  values of some keys, over those of the file; may be given several times, the last one counts",
        "  Each key of the file is a flag; values are written as in YAML (true, null, 3e-4), lists with spaces between.",
    ]
    lines += [line for leaf in leaves(model) for line in _lines(leaf, values, comments.get(leaf.path, ""))]
    return "\n".join(lines) + "\n"


def _lines(leaf: Leaf, values: dict[str, JsonValue], comment: str) -> list[str]:
    group: JsonValue = values
    for key in leaf.path[:-1]:
        group = group.get(key) if isinstance(group, dict) else None
    field = leaf.fields[0]
    here = isinstance(group, dict) and leaf.path[-1] in group
    value = group[leaf.path[-1]] if isinstance(group, dict) and here else field.default
    shown = "no default" if field.is_required() and not here else dump(_plain(value)).strip()
    width = min(120, shutil.get_terminal_size().columns)
    head = f"  {leaf.flag} {' | '.join(dict.fromkeys(map(_type, leaf.fields)))} ({shown})"
    return [head, *textwrap.wrap(comment, width, initial_indent=_INDENT, subsequent_indent=_INDENT)]


def _plain(value: object) -> JsonValue:
    """Return a default as a document holds it: a group as its values."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else typing.cast("JsonValue", value)


def _type(field: FieldInfo) -> str:
    """Write type and bounds: `number >= 0, < 1`, `float32|bfloat16`."""
    bounds = []
    for item in field.metadata:
        for kind, sign, name in ((Ge, ">=", "ge"), (Gt, ">", "gt"), (Le, "<=", "le"), (Lt, "<", "lt")):
            if isinstance(item, kind):
                bounds.append(f"{sign} {getattr(item, name):g}" if abs(getattr(item, name)) < 2**53 else f"{sign} {getattr(item, name)}")
        if isinstance(item, MinLen):
            bounds.append(f"at least {item.min_length} values")
    return " ".join([_name(field.annotation), ", ".join(bounds)]).strip()


def _name(annotation: object) -> str:
    names: dict[object, str] = {int: "integer", float: "number", bool: "true|false", str: "text", type(None): "null"}
    if annotation in names:
        return names[annotation]
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return "|".join(map(str, arguments))
    if typing.get_origin(annotation) is typing.Annotated:
        return _name(arguments[0])
    if typing.get_origin(annotation) is tuple:
        return f"{_name(arguments[0])} ..." if arguments[-1] is Ellipsis else " ".join(map(_name, arguments))
    return "|".join(map(_name, arguments))


def _comments(model: type[BaseModel], path: tuple[str, ...]) -> typing.Iterator[tuple[tuple[str, ...], str]]:
    """Yield the comment or the description of each key of a model and of the models below it."""
    for block, name in _COMMENTED.findall(inspect.getsource(model)):
        yield (*path, name), " ".join(line.strip().removeprefix("# ") for line in block.splitlines())
    for name, field in model.model_fields.items():
        if field.description:
            yield (*path, name), field.description
        for inner in models_of(field):
            yield from _comments(inner, (*path, name))
