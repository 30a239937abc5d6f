"""What a run found: `results.json`, its records and the summary over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from .files import read_json, write_json
from .settings import SettingsError, build, to_dict

__all__ = ["METHODS", "Group", "Network", "Results", "Target", "pareto", "read_results", "summarise", "write_results"]

FORMAT = 1
FILE = "results.json"
# In the order in which tables and plots name them. "everywhere" has one operator at all gates.
METHODS = ("search", "random", "greedy", "uniform", "evolve", "everywhere", "train")


@dataclass(frozen=True)
class Network:
    """One architecture, trained and weighed. Seconds are those of one private inference's online phase."""

    method: str
    seed: int
    gates: dict[str, Any]  # gate -> name of the chosen candidate, or one name a channel
    predicted: float  # seconds that the latency backend tells
    test: float  # accuracy on the test images, which nothing rests on
    valid: float | None = None  # accuracy on the held-out part of the training images, which choices rest on
    target: float | None = None  # seconds that it had to stay under
    index: int = 0  # of several by the same method, target and seed
    rounds: int = 0
    bytes_online: int = 0
    measured: tuple[float, ...] = ()  # seconds of each timed run by two processes
    choice: str = ""  # of "everywhere": the operator
    folder: str = ""  # inside the run's
    spent: float = 0.0  # seconds of work

    @property
    def seconds(self) -> float:
        """Measured (median) where it was, else predicted."""
        return median(self.measured) if self.measured else self.predicted


@dataclass(frozen=True)
class Target:
    """A latency to stay under; `fraction` tells where it lies between the two networks of [targets] between."""

    seconds: float
    fraction: float | None = None

    @property
    def name(self) -> str:
        return f"{self.seconds * 1e3:.1f} ms"


@dataclass(frozen=True)
class Results:
    """Everything that a report shows but the configuration and the machine."""

    name: str
    command: str  # search or train
    task: dict[str, Any] = field(default_factory=dict)  # dataset, model, parameters, images
    latency: dict[str, Any] = field(default_factory=dict)  # backend, network, batch, comparison
    ends: dict[str, float] = field(
        default_factory=dict
    )  # operator -> predicted seconds of the network that has only it
    table: dict[str, dict[str, float]] = field(default_factory=dict)  # gate -> candidate -> marginal seconds
    targets: tuple[Target, ...] = ()
    networks: tuple[Network, ...] = ()
    chosen: int | None = None  # the one of `networks` whose weights lie in the run folder
    teacher: dict[str, Any] = field(default_factory=dict)
    spent: float = 0.0
    format: int = FORMAT


def write_results(folder: Path, results: Results) -> None:
    write_json(folder / FILE, to_dict(results))


def read_results(folder: Path) -> Results:
    """The results in a run folder."""
    path = folder / FILE
    if not path.is_file():
        raise ValueError(f"{path} is not there: expected the folder of a finished `moiety search` or `moiety train`")
    document = read_json(path)
    if document.get("format") != FORMAT:
        raise ValueError(f"{path} has format {document.get('format')!r}: expected {FORMAT}, made by this version")
    try:
        return build(Results, document)
    except (SettingsError, TypeError) as error:
        raise ValueError(f"{path} does not hold a run's results ({error})") from None


@dataclass(frozen=True)
class Group:
    """Networks of one method at one target: means, and standard errors of the means (0 for a single network)."""

    method: str
    target: float | None
    choice: str
    networks: tuple[Network, ...]

    def mean(self, value: Callable[[Network], float]) -> float:
        return fmean(value(n) for n in self.networks)

    def error(self, value: Callable[[Network], float]) -> float:
        values = [value(n) for n in self.networks]
        return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0

    @property
    def test(self) -> float:
        return self.mean(lambda n: n.test)

    @property
    def test_error(self) -> float:
        return self.error(lambda n: n.test)

    @property
    def seconds(self) -> float:
        return self.mean(lambda n: n.seconds)

    @property
    def seconds_error(self) -> float:
        return self.error(lambda n: n.seconds)

    @property
    def name(self) -> str:
        return f"all {self.choice}" if self.choice else self.method

    def to_dict(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "target": self.target,
            "choice": self.choice,
            "count": len(self.networks),
            "test": self.test,
            "test_error": self.test_error,
            "seconds": self.seconds,
            "predicted": self.mean(lambda n: n.predicted),
        }


def summarise(networks: Iterable[Network]) -> list[Group]:
    """Groups by method, target and operator; methods in their order, targets rising."""
    groups: dict[tuple[str, float | None, str], list[Network]] = {}
    for network in networks:
        groups.setdefault((network.method, network.target, network.choice), []).append(network)

    def place(key: tuple[str, float | None, str]) -> tuple[int, str, float, str]:
        method, target, choice = key
        return METHODS.index(method) if method in METHODS else len(METHODS), method, target or 0.0, choice

    return [Group(*key, tuple(groups[key])) for key in sorted(groups, key=place)]


def pareto(groups: Sequence[Group]) -> list[Group]:
    """The groups that no other one beats in both accuracy and latency, fastest first."""
    front: list[Group] = []
    for group in sorted(groups, key=lambda g: (g.seconds, -g.test)):
        if not front or group.test > front[-1].test:
            front.append(group)
    return front


def comparison(groups: Sequence[Group]) -> Mapping[float, dict[str, float]]:
    """By target: how far the searched networks are above the random ones, in units of accuracy and of its error,
    and which part of what random loses to all-ReLU they win back."""
    by_key = {(g.method, g.target): g for g in groups}
    best = next((g for g in groups if g.choice == "relu"), None)
    found: dict[float, dict[str, float]] = {}
    for (method, target), group in by_key.items():
        random = by_key.get(("random", target))
        if method != "search" or target is None or random is None:
            continue
        gain = group.test - random.test
        entry = {"gain": gain, "error": math.hypot(group.test_error, random.test_error)}
        if best is not None and best.test > random.test:
            entry["recovered"] = gain / (best.test - random.test)
        found[target] = entry
    return found
