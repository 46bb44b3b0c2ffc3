"""Typed fields with ranges: what an annotation allows, in code and in words, and values read from text."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Range:
    """The numbers that a field takes: from `low` to `high`; an open end leaves the bound itself out."""

    low: float = -float("inf")
    high: float = float("inf")
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        least = f"{'more than' if self.open_low else 'at least'} {self.low:g}"
        return least if self.high == float("inf") else f"{least} and {'less than' if self.open_high else 'at most'} {self.high:g}"


class Named:
    """The names of a registry, which may grow, and "package.module:function" for what is in none."""

    def __init__(self, registry: Mapping[str, Any], words: str) -> None:
        self.registry, self.words = registry, words

    def __contains__(self, value: str) -> bool:
        return value in self.registry or re.fullmatch(r"\w+(\.\w+)*:\w+", value) is not None


LARGEST = float(2**31 - 1)
FINITE = 1e12
Count = Annotated[int, Range(1, LARGEST)]
Width = Annotated[int, Range(1, 2**16)]
Share = Annotated[float, Range(0, 1)]
DropoutRate = Annotated[float, Range(0, 1, open_high=True)]
Weight = Annotated[float, Range(0, FINITE)]
Positive = Annotated[float, Range(0, FINITE, open_low=True)]


@cache
def hints(config_class: type) -> dict[str, Any]:
    """The annotation of every field, by its name."""
    found = get_type_hints(config_class, include_extras=True)
    return {f.name: found[f.name] for f in dataclasses.fields(config_class)}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has the type of an annotation and lies in its range."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fits(value, arguments[0]) and all(value in extra for extra in arguments[1:] if isinstance(extra, (Range, Named)))
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(part, arguments[0]) for part in value)
    if arguments:  # a union
        return any(fits(value, part) for part in arguments)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def wanted(hint: Any) -> str:
    """An annotation in words, for a message."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return arguments[1].words if isinstance(arguments[1], Named) else f"{wanted(arguments[0])} of {arguments[1]}"
    if origin is Literal:
        return f"one of {', '.join(map(repr, arguments))}"
    if origin is tuple:
        return f"a list, each item {wanted(arguments[0])}"
    if arguments:
        return " or ".join(wanted(part) for part in arguments)
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text", NoneType: "none"}[hint]


def from_text(value: Any, hint: Any) -> Any:
    """A value in the field's type where it is text or a JSON list; a value that cannot be read comes back as it is, to be refused."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return from_text(value, arguments[0])
    if origin is tuple:
        parts = [p for p in value.split(",") if p] if isinstance(value, str) else value
        return tuple(from_text(part, arguments[0]) for part in parts) if isinstance(parts, (list, tuple)) else value
    if arguments and origin is not Literal:  # a union
        is_none = value is None or (isinstance(value, str) and value.lower() == "none")
        return None if is_none and NoneType in arguments else from_text(value, arguments[0])
    if not isinstance(value, str) or hint is str or origin is Literal:
        return value
    try:
        return {"true": True, "1": True, "false": False, "0": False}[value.lower()] if hint is bool else hint(value)
    except (KeyError, ValueError):
        return value


@cache
def comments(config_class: type) -> dict[str, str]:
    """What the source says of every field, behind it or in the lines above it, in the class itself or the nearest class above."""
    found: dict[str, str] = {}
    for owner in reversed(config_class.__mro__):
        try:
            lines = inspect.getsource(owner).splitlines()
        except (OSError, TypeError):  # a class without a source file
            continue
        above: list[str] = []
        for line in lines:
            field = re.match(r"    (\w+): [^#]*(?:  # (.+))?$", line)
            if field and (field[2] or above):
                found[field[1]] = field[2] or " ".join(above)
            above = [*above, line.removeprefix("    # ")] if line.startswith("    # ") else []
    return {name: found.get(name, "") for name in hints(config_class)}


class Explained:
    """The docstring of a config class, and behind it each field with its default, what it takes and what it means.

    `help` asks for it; nothing is read before that.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __get__(self, instance: Any, owner: type) -> str:
        if not dataclasses.is_dataclass(owner):
            return self.text
        means = comments(owner)
        takes = {name: re.sub(r" and at most \S+e\+\d+", "", wanted(hint)) for name, hint in hints(owner).items()}  # any size at all
        fields = [f"    {f.name} = {f.default!r}: {means[f.name]} ({takes[f.name]})" for f in dataclasses.fields(owner)]
        return "\n".join([self.text, "", "Fields, with their defaults:", "", *fields])
