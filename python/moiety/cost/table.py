"""A cost table: what every operation and the link cost on one machine, as `moiety profile` measured them.

The file is JSON: `version`, `rings` -> row -> {a, b, c, error, samples}, `link` -> {hop, sleep}, `made`
(when, on what machine and network, how loaded, with which versions) and `raw` (the samples, which nothing here reads).
The package ships one, `default.json`, measured on the machine that it names.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from .timeline import LinkTerms
from .work import ROWS, Work

__all__ = ["FORMAT", "LIMIT", "Table", "Terms", "default_table", "load_table"]

FORMAT = 1
LIMIT = 0.10  # a row that misses its samples by more on average is not fit to search with


@dataclass(frozen=True)
class Terms:
    """seconds = a * rounds + b * bytes + c * work (`moiety.cost.work`); `error`: mean relative miss of the fit."""

    a: float
    b: float
    c: float
    error: float
    samples: int

    def seconds(self, work: Work) -> float:
        return self.a * work.rounds + self.b * work.bytes + self.c * work.work


@dataclass(frozen=True)
class Table:
    rings: Mapping[int, Mapping[str, Terms]]
    link: LinkTerms
    made: Mapping[str, Any]
    raw: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    where: str = ""  # the file, for messages

    def row(self, ring: int, name: str) -> Terms:
        try:
            return self.rings[ring][name]
        except KeyError:
            raise ValueError(
                f"{self.where or 'this cost table'} has no row {name!r} for a ring of {ring} bits: expected what "
                "`moiety profile` writes; measure again with this version"
            ) from None

    def misfits(self, ring: int, limit: float = LIMIT) -> list[str]:
        """The rows of a ring that miss their samples by more than `limit` on average, each with by how much."""
        rows = self.rings.get(ring, {}).items()
        bad = ((name, terms.error) for name, terms in rows if terms.error > limit)
        return [f"{name} in the ring of {ring} bits by {error:.0%}" for name, error in bad]

    def require_fit(self, ring: int, limit: float = LIMIT) -> None:
        """Raises ValueError naming the ring's rows that miss their samples by more than `limit` on average."""
        bad = self.misfits(ring, limit)
        if bad:
            raise ValueError(
                f"{self.where or 'this cost table'} does not fit its own samples: expected a mean error of at most "
                f"{limit:.0%} in every row, found {', '.join(bad)}; measure again with `moiety profile` while nothing "
                "else runs"
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "version": FORMAT,
            "made": dict(self.made),
            "link": asdict(self.link),
            "rings": {
                str(ring): {name: asdict(terms) for name, terms in rows.items()} for ring, rows in self.rings.items()
            },
            "raw": list(self.raw),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        Path(path).write_text(json.dumps(self.to_json(), indent=1) + "\n")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ValueError(f"expected a number of at least 0, found {value!r}")
    return float(value)


def _read(document: Any, where: str) -> Table:
    try:
        if document["version"] != FORMAT:
            raise ValueError(f"expected version {FORMAT}, found {document['version']!r}")
        rings = {}
        for ring, rows in document["rings"].items():
            unknown = sorted(set(rows) - set(ROWS))
            if ring not in ("32", "64") or unknown:
                raise ValueError(f"expected rings of 32 and 64 bits with known rows, found {ring!r}, {unknown}")
            rings[int(ring)] = {
                name: Terms(
                    a=_number(row["a"]),
                    b=_number(row["b"]),
                    c=_number(row["c"]),
                    error=_number(row["error"]),
                    samples=int(row["samples"]),
                )
                for name, row in rows.items()
            }
        sleep = tuple((_number(waited), _number(more)) for waited, more in document["link"]["sleep"])
        if any(waited <= 0 for waited, _ in sleep) or list(sleep) != sorted(sleep):
            raise ValueError(f"expected rising waits, found {sleep}")
        link = LinkTerms(_number(document["link"]["hop"]), sleep)
        return Table(rings, link, dict(document["made"]), tuple(document.get("raw", ())), where)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{where}: expected a cost table of `moiety profile`, found something else ({error!r}); measure a new one"
        ) from None


def load_table(path: str | os.PathLike[str]) -> Table:
    """The table in a file. Raises ValueError for a file that holds none."""
    try:
        document = json.loads(Path(path).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{os.fspath(path)}: expected a cost table of `moiety profile`, found no JSON ({error})"
        ) from None
    return _read(document, os.fspath(path))


@cache
def default_table() -> Table:
    """The table that the package ships."""
    text = resources.files("moiety.cost").joinpath("default.json").read_text()
    return _read(json.loads(text), "the default cost table")
