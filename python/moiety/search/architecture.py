"""An architecture: which candidate every gate of a supernet takes, as plain JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Architecture", "Choice"]

Choice = str | list[str]  # one candidate for the layer, or one for each channel

FILE_VERSION = 1


@dataclass(frozen=True)
class Architecture:
    """gates: path of each gate -> its candidate, or with granularity "channel" a list of one a channel.

    model: how to build the network that has these gates, if known: `{"name": ..., "kwargs": {...}}` of `moiety.models`.
    """

    gates: Mapping[str, Choice]
    model: dict[str, Any] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for path, choice in self.gates.items():
            names = [choice] if isinstance(choice, str) else choice
            if not (
                isinstance(path, str) and isinstance(names, list) and names and all(isinstance(n, str) for n in names)
            ):
                raise ValueError(f"gate {path!r}: expected a candidate's name or a list of names, found {choice!r}")

    @property
    def key(self) -> str:
        """One text for equal choices: what results are cached by."""
        return json.dumps(dict(self.gates), sort_keys=True, separators=(",", ":"))

    def but(self, changes: Mapping[str, Choice]) -> Architecture:
        """The same with other choices at some gates."""
        unknown = sorted(set(changes) - set(self.gates))
        if unknown:
            raise KeyError(f"no gates {unknown}: expected some of {sorted(self.gates)}")
        return Architecture({**self.gates, **changes}, self.model)

    def to_dict(self) -> dict[str, Any]:
        return {"version": FILE_VERSION, "gates": dict(self.gates), "model": self.model}

    @classmethod
    def from_dict(cls, data: Any) -> Architecture:
        if not isinstance(data, dict) or not isinstance(data.get("gates"), dict):
            raise ValueError("expected an architecture: a JSON object with an object 'gates' of {path: candidate}")
        if data.get("version") != FILE_VERSION:
            raise ValueError(f"expected an architecture of version {FILE_VERSION}, found {data.get('version')!r}")
        if data.get("model") is not None and not isinstance(data["model"], dict):
            raise ValueError(f"expected 'model' to be an object or null, found {data['model']!r}")
        return cls(data["gates"], data.get("model"))

    def save(self, path: str | os.PathLike[str]) -> None:
        Path(path).write_text(json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Architecture:
        try:
            return cls.from_dict(json.loads(Path(path).read_text()))
        except ValueError as error:  # JSON's own errors included
            raise ValueError(f"{os.fspath(path)}: {error}") from error

    def __str__(self) -> str:
        return " ".join(
            f"{path}={choice if isinstance(choice, str) else '/'.join(choice)}" for path, choice in self.gates.items()
        )
