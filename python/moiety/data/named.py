"""Looking up a loader by name, with its options checked: what data sets of images and of graphs have in common."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar

__all__ = ["load_named"]

T = TypeVar("T")


def load_named(loaders: Mapping[str, Callable[..., T]], name: str, options: Mapping[str, object]) -> T:
    """`loaders[name](**options)`; unknown names and options are refused with the nearest ones."""
    if name not in loaders:
        near = difflib.get_close_matches(name, loaders, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"there is no data set {name!r}: {hint}expected one of {', '.join(loaders)}")
    load = loaders[name]
    known = inspect.signature(load).parameters
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"data set {name!r} has no option {', '.join(unknown)}: expected {', '.join(known)}")
    if missing := [key for key, option in known.items() if option.default is option.empty and key not in options]:
        raise ValueError(f"data set {name!r} wants the option {', '.join(missing)}")
    return load(**options)
