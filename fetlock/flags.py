"""Flags of a configuration: `--sac.batch-size 128` puts 128 at sac.batch_size of the document that is validated.

Flags go into the document before validation, so that a value in a file and one on the command line meet the same checks and the same
messages, and a flag can choose a member of a union (`--robot.ground.kind slope`).
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from fetlock.document import describe, parse
from robot.errors import UsageError

Path = tuple[str, ...]
# Words that are meant as a value of a switch; all but the first two are refused by the validation, with the right ones.
_SWITCH_WORDS = ("true", "false", "yes", "no", "on", "off", "1", "0")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value of the configuration that a flag can set.

    Attributes:
        path: Keys that lead to it.
        fields: Its definitions: several where several members of a union have a key of this name.
        many: It may be a list, so its flag takes several values.
        listed: It is always a list, so a single value becomes one.
        switch: It is true or false, so its flag may stand without a value.
    """

    path: Path
    fields: tuple[FieldInfo, ...]
    many: bool
    listed: bool
    switch: bool

    @property
    def flag(self) -> str:
        """As written on the command line."""
        return flag_of(self.path)


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag as given: where its value goes, and its words for error messages."""

    path: Path
    value: JsonValue
    text: str


def flag_of(path: Path) -> str:
    """Return the flag of a key path: ("sac", "batch_size") is --sac.batch-size."""
    return "--" + ".".join(path).replace("_", "-")


def leaves(model: type[BaseModel]) -> list[Leaf]:
    """List all values below a model; of a union of models, those of all members, each path once."""
    found: dict[Path, list[FieldInfo]] = {}
    for path, field in _fields(model, ()):
        found.setdefault(path, []).append(field)
    return [_leaf(path, fields) for path, fields in found.items()]


def _fields(model: type[BaseModel], path: Path) -> Iterator[tuple[Path, FieldInfo]]:
    for name, field in model.model_fields.items():
        inner = models_of(field)
        if not inner:
            yield (*path, name), field
        for member in inner:
            yield from _fields(member, (*path, name))


def _leaf(path: Path, fields: list[FieldInfo]) -> Leaf:
    members = [member for field in fields for member in _members(field.annotation)]
    lists = [typing.get_origin(member) in (tuple, list) for member in members]
    return Leaf(path, tuple(fields), any(lists), all(lists), bool in members)


def models_of(field: FieldInfo) -> list[type[BaseModel]]:
    """Return the models that a field may hold: none for a plain value, several for a union."""
    return [member for member in _members(field.annotation) if isinstance(member, type) and issubclass(member, BaseModel)]


def _members(annotation: object) -> tuple[object, ...]:
    """Take a union apart, without None."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _members(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return tuple(inner for member in typing.get_args(annotation) for inner in _members(member))
    return () if annotation is type(None) else (annotation,)


def nearest(word: str, choices: list[str]) -> str | None:
    """Return the choice most like `word`, or None if none is like it; a dotted choice also counts by its last part alone."""
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if close:
        return close[0]
    tails = {choice.rpartition(".")[2].lstrip("-"): choice for choice in choices}
    close = difflib.get_close_matches(word.rpartition(".")[2].lstrip("-"), list(tails), n=1, cutoff=0.6)
    return tails[close[0]] if close else None


def read_flags(argv: list[str], model: type[BaseModel], others: Sequence[str] = ()) -> list[Flag]:
    """Read `--key value` and `--key=value`; a list takes several values, a boolean may have none.

    Args:
        argv: Words of the command line.
        model: What they set.
        others: Options that somebody else has read: a misspelt one may be meant.

    Raises:
        UsageError: If a word is no flag, no key, given twice or lacks its value: with the nearest flag.
    """
    known = {leaf.flag: leaf for leaf in leaves(model)}
    flags: list[Flag] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, attached = word.partition("=")
        leaf = known.get("--" + name[2:].replace("_", "-")) if name.startswith("--") else None
        if leaf is None:
            raise UsageError(_unknown(name, [*known, *others]))
        if any(flag.path == leaf.path for flag in flags):
            raise UsageError(f"{leaf.flag} was given twice: give it once")
        values = [attached] if equals else _take(leaf, words)
        flags.append(Flag(leaf.path, _value(leaf, values), " ".join([leaf.flag, *values])))
    return flags


def overlaid(values: dict[str, JsonValue], where: str, above: Path = ()) -> list[Flag]:
    """Return what a file says as flags: it goes over another document key by key, and not as a whole.

    Args:
        values: Of the file.
        where: Its name.
        above: Keys that lead to the values.
    """
    flags: list[Flag] = []
    for key, value in values.items():
        path = (*above, key)
        if isinstance(value, dict) and value:
            flags += overlaid(value, where, path)
        else:
            flags.append(Flag(path, value, where))
    return flags


def apply(flags: list[Flag], document: dict[str, JsonValue]) -> None:
    """Put the flags' values into a document.

    Raises:
        UsageError: If the document has a plain value where a flag needs keys.
    """
    for flag in flags:
        group = document
        for depth, key in enumerate(flag.path[:-1], start=1):
            # A group that may be left out is null where it is: its flags begin it.
            inner = group[key] = {} if group.get(key) is None else group[key]
            if not isinstance(inner, dict):
                raise UsageError(
                    f"{'.'.join(flag.path[:depth])} is {describe(inner)} in the file where keys were expected: {flag.text} fits nowhere"
                )
            group = inner
        group[flag.path[-1]] = flag.value


def _take(leaf: Leaf, words: list[str]) -> list[str]:
    """Take the words that belong to a flag: up to the next flag for a list, else one, for a boolean only if it is one."""
    if leaf.switch and (not words or words[0].lower() not in _SWITCH_WORDS):
        return []
    if not words or words[0].startswith("--"):
        raise UsageError(f"{leaf.flag} needs a value: {leaf.flag} {'VALUE ...' if leaf.many else 'VALUE'}")
    values = [words.pop(0)]
    while leaf.many and words and not words[0].startswith("--"):
        values.append(words.pop(0))
    return values


def _value(leaf: Leaf, values: list[str]) -> JsonValue:
    if not values:
        return True
    parsed = [parse(value, f"{leaf.flag} {value}") for value in values]
    if len(parsed) > 1 or (leaf.listed and not isinstance(parsed[0], list)):
        return parsed
    return parsed[0]


def _unknown(word: str, known: list[str]) -> str:
    if not word.startswith("-"):
        return f"unexpected argument {word!r}: flags are written --key value"
    inside = [flag for flag in known if flag.startswith(f"{word}.")]
    if inside:
        return f"{word} is a group of keys: {', '.join(inside)}"
    close = nearest(word.replace("_", "-"), known)
    return f"unknown option {word}: " + (f"the nearest is {close}" if close else "--help lists all")
