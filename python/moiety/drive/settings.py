"""Frozen dataclasses from TOML and back: unknown names refused with the nearest ones, types checked, `a.b=c` applied.

A field's type is bool, int, float, str, Path, Literal, `X | None`, `tuple[X, ...]`, `dict[str, Any]` or a dataclass of
those, and every field has a default. TOML has no null: a field that is None is left out of the file.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

__all__ = ["SettingsError", "assign", "build", "differences", "dump", "to_dict"]

T = TypeVar("T")


class SettingsError(ValueError):
    """A setting is not what it should be. The message names it, what was expected and what came."""


def build(cls: type[T], values: Mapping[str, Any], where: str = "", base: T | None = None) -> T:
    """The dataclass `cls` from TOML values; what they leave out is as in `base`, or the default.

    `where` is the table's name in messages.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, cls)) if f.init}
    for key in values:
        if key not in fields:
            raise SettingsError(_unknown(f"{where}{key}", key, fields))
    converted: dict[str, Any] = {}
    for key, value in values.items():
        kind, inner = hints[key], f"{where}{key}"
        if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
            # A table changes only what it names: the rest is what this field has by default, not what its type has.
            converted[key] = build(
                kind, value, f"{inner}.", _default(fields[key]) if base is None else getattr(base, key)
            )
        else:
            converted[key] = _convert(kind, value, inner)
    try:
        return cls(**converted) if base is None else dataclasses.replace(typing.cast(Any, base), **converted)
    except SettingsError:
        raise
    except ValueError as error:  # of a dataclass that checks itself
        raise SettingsError(f"[{where.rstrip('.')}] {error}" if where else str(error)) from error


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _unknown(path: str, key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    expected = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(sorted(known))}"
    return f"setting {path} is not known: {expected}"


def _convert(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        if isinstance(kind, type) and isinstance(value, Mapping):
            return build(kind, value, f"{where}.")
    elif origin is Literal:
        if value in arguments:
            return value
        raise SettingsError(f"setting {where} is {value!r}: expected one of {', '.join(map(repr, arguments))}")
    elif origin in (types.UnionType, typing.Union):
        return _convert_union(arguments, value, where)
    elif origin is tuple:
        if isinstance(value, (list, tuple)):
            if arguments[-1] is Ellipsis:
                return tuple(_convert(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(value))
            if len(value) == len(arguments):
                pairs = zip(arguments, value, strict=True)
                return tuple(_convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(pairs))
    elif origin is dict:
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {key: _convert(arguments[1], v, f"{where}.{key}") for key, v in value.items()}
    elif kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not math.isfinite(value):
                raise SettingsError(f"setting {where} is {value}: expected a finite number")
            return float(value)
    elif kind is Path:
        if isinstance(value, (str, Path)):
            return Path(value).expanduser()
    elif isinstance(kind, type) and isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise SettingsError(f"setting {where} is {_shown(value)}: expected {_named(kind)}")


def _convert_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    others = [a for a in arguments if a is not type(None)]
    failure: SettingsError | None = None
    for kind in others:
        try:
            return _convert(kind, value, where)
        except SettingsError as error:
            failure = failure or error
    if failure is not None and len(others) == 1:
        raise failure
    raise SettingsError(f"setting {where} is {_shown(value)}: expected {' or '.join(map(_named, others))}")


def _shown(value: Any) -> str:
    return f"{value!r} ({type(value).__name__})" if not isinstance(value, Mapping) else "a table"


def _named(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_named(a) for a in arguments if a is not type(None))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"a list of {_named(arguments[0])}"
        return f"a list of {len(arguments)} values"
    if origin is dict or dataclasses.is_dataclass(kind):
        return "a table"
    return {bool: "true or false", int: "an integer", float: "a number", str: "a string", Path: "a path"}.get(
        kind, str(kind)
    )


def assign(values: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A copy of the TOML `values` with `a.b=c` applied in turn; c is a TOML value, or a bare word for a string.

    `a.b=none` takes the setting out, so that its default holds.
    """
    result = _copy(values)
    for text in assignments:
        path, equals, raw = text.partition("=")
        names = [name.strip() for name in path.split(".")]
        if not equals or not all(names):
            raise SettingsError(f"--set {text!r}: expected NAME=VALUE, such as fit.epochs=10")
        table = result
        for name in names[:-1]:
            inner = table.setdefault(name, {})
            if not isinstance(inner, dict):
                raise SettingsError(f"--set {text!r}: {name} is no table")
            table = inner
        if raw.strip() == "none":
            table.pop(names[-1], None)
        else:
            table[names[-1]] = _value(raw.strip(), text)
    return result


def _value(raw: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError as error:
        if raw and not set(raw) & set("\"'[]{},=\n#"):
            return raw
        raise SettingsError(f"--set {text!r}: {raw!r} is no TOML value ({error})") from None


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def to_dict(settings: Any) -> dict[str, Any]:
    """The dataclass as TOML values: tuples as lists, paths as text, None left out."""
    return {
        f.name: _plain(value) for f in dataclasses.fields(settings) if (value := getattr(settings, f.name)) is not None
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Lines "name: that value there, this here" for every setting in which two resolved tables differ."""
    lines: list[str] = []
    for key in sorted({*theirs, *ours}):
        there, here = theirs.get(key), ours.get(key)
        if isinstance(there, Mapping) or isinstance(here, Mapping):
            lines += differences(_table(there), _table(here), f"{prefix}{key}.")
        elif there != here:
            lines.append(f"{prefix}{key}: {_literal(there)} there, {_literal(here)} here")
    return lines


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def dump(values: Mapping[str, Any], prefix: str = "") -> str:
    """TOML text of nested tables; `tomllib.loads` gives the same values back."""
    own = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    lines = [f"{_key(key)} = {_literal(value)}" for key, value in own.items()]
    parts = ["\n".join(lines) + "\n"] if lines else []
    for key, value in values.items():
        if isinstance(value, Mapping):
            path = f"{prefix}{_key(key)}"
            body = dump(value, f"{path}.")
            nested_only = bool(value) and all(isinstance(v, Mapping) for v in value.values())
            parts.append(body if nested_only else f"[{path}]\n{body}")
    return "\n".join(parts)


def _key(name: str) -> str:
    bare = name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)
    return name if bare else _text(name)


def _literal(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_literal(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (int, float)):
        return repr(value)
    raise SettingsError(f"{value!r} ({type(value).__name__}) has no form in TOML")


def _text(value: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}
    return '"' + "".join(escapes.get(c) or (c if c.isprintable() else f"\\U{ord(c):08X}") for c in value) + '"'
