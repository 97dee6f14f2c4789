"""One line for a configuration that does not validate: source, key, value, bound, nearest valid key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from fetlock.document import describe
from fetlock.flags import Flag, leaves, models_of, nearest
from robot.errors import UsageError

ModelT = TypeVar("ModelT", bound=BaseModel)

# Wording of pydantic's error types; fields in braces are its context.
_BOUNDS = {
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "missing": "needs more values",
    "union_tag_not_found": "needs a key {discriminator} that says which one it is",
    "too_short": "needs at least {min_length} values",
    "too_long": "takes at most {max_length} values",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "must be {expected_tags}",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "finite_number": "must be finite",
    "model_type": "must be a group of keys",
    "model_attributes_type": "must be a group of keys",
    "dict_type": "must be a group of keys",
}


def validated(values: dict[str, JsonValue], where: str, model: type[ModelT]) -> ModelT:
    """Read a document as a model of its own, without flags; raises UsageError with the complaint."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UsageError(complaint(error, values, where, [], model)) from error


def complaint(error: ValidationError, values: dict[str, JsonValue], where: str, flags: list[Flag], model: type[BaseModel]) -> str:
    """Describe the first of the errors and count the others.

    Args:
        error: What pydantic found.
        values: The document, flags included.
        where: File that it comes from.
        flags: Flags that were put into it.
        model: The document's model.
    """
    # An unknown key first: it is often the misspelt name of one that is then missing.
    details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    first = _detail(details, values, where, flags, model)
    others = len({_path(detail, values) for detail in details}) - 1
    return first if others < 1 else f"{first} (and {others} more error{'s' if others > 1 else ''})"


def _detail(details: list[ErrorDetails], values: dict[str, JsonValue], where: str, flags: list[Flag], model: type[BaseModel]) -> str:
    detail = details[0]
    path, index = _path(detail, values), _index(detail)
    source, key = _source(path, where, flags), ".".join(path)
    if detail["type"] == "extra_forbidden":
        return f"{source}: {key}: unknown key" + _suggestion(path, values, model)
    if detail["type"] == "missing" and index is None:
        return f"{source}: {key} is missing and has no default: add it to the file"
    if detail["type"] == "value_error":
        message = detail["msg"].removeprefix("Value error, ")
        return f"{source}: {key + ': ' if key else ''}{message}"
    value = _at(values, path)
    if index is not None and detail["type"] != "missing" and isinstance(value, list):
        key, value = f"{key}[{index}]", value[index]
    # The members of a union each complain about one value: all that they accept is named.
    same = [other for other in details if _path(other, values) == path and _index(other) == index]
    return f"{source}: {key}: {describe(value)} {' or '.join(dict.fromkeys(map(_bound, same)))}" + _choice(detail)


def _source(path: tuple[str, ...], where: str, flags: list[Flag]) -> str:
    """Name what the user should look at: the flag that set the key, or the file and the flags that changed the group."""
    inside = [flag for flag in flags if flag.path[: len(path)] == path]
    if len(inside) == 1 and inside[0].path == path:
        return inside[0].text
    return f"{where} with {' '.join(dict.fromkeys(flag.text for flag in inside))}" if inside else where


def _bound(detail: ErrorDetails) -> str:
    text = _BOUNDS.get(detail["type"])
    context = {name: f"{value:g}" if isinstance(value, float) else value for name, value in detail.get("ctx", {}).items()}
    return text.format(**context) if text else detail["msg"][:1].lower() + detail["msg"][1:]


def _choice(detail: ErrorDetails) -> str:
    """Suggest the nearest of the words that a literal or a union's tag allows."""
    context: Mapping[str, Any] = detail.get("ctx", {})
    allowed = str(context.get("expected", context.get("expected_tags", "")))
    choices = [word.strip("'") for word in allowed.replace(" or ", ", ").split(", ") if word]
    value = detail["input"]
    given = str(value.get("kind")) if isinstance(value, dict) else str(value)
    close = nearest(given, choices) if choices else None
    return f": the nearest is '{close}'" if close else ""


def _suggestion(path: tuple[str, ...], values: dict[str, JsonValue], model: type[BaseModel]) -> str:
    """Suggest a key of the same group, else of the whole configuration."""
    group = _group(path[:-1], values, model)
    siblings = [".".join((*path[:-1], name)) for name in group.model_fields]
    # A key of another member of a union has the same name, and is no help.
    known = {".".join(leaf.path) for leaf in leaves(model)} - {".".join(path)}
    close = nearest(".".join(path), [*sorted(known), *siblings])
    return f": the nearest is {close}" if close else f": valid keys are {', '.join(group.model_fields)}"


def _group(path: tuple[str, ...], values: dict[str, JsonValue], model: type[BaseModel]) -> type[BaseModel]:
    """Return the model of the group at `path`; of a union, the member that the document's `kind` names."""
    for depth, key in enumerate(path, start=1):
        members = models_of(model.model_fields[key])
        chosen = _at(values, (*path[:depth], "kind"))
        model = next(
            (member for member in members if "kind" in member.model_fields and member.model_fields["kind"].default == chosen), members[0]
        )
    return model


def _path(detail: ErrorDetails, values: dict[str, JsonValue]) -> tuple[str, ...]:
    """Return the keys in the document that an error is about: without pydantic's names of union members and without indices."""
    path: list[str] = []
    group: JsonValue = values
    for item in detail["loc"]:
        if not isinstance(group, dict):
            break
        if item in group:
            path.append(str(item))
            group = group[str(item)]
        elif detail["type"] == "missing" and item == detail["loc"][-1]:
            path.append(str(item))
    if detail["type"] == "union_tag_invalid":
        path.append("kind")
    return tuple(path)


def _index(detail: ErrorDetails) -> int | None:
    """Return the place in a list that an error is about."""
    last = detail["loc"][-1] if detail["loc"] else None
    return last if isinstance(last, int) else None


def _at(values: JsonValue, path: tuple[str, ...]) -> JsonValue:
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values
