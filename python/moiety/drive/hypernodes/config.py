"""What a run of hypernode classification is asked to do, as frozen dataclasses from TOML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["HyperFitConfig", "HyperModelConfig", "HyperSetConfig", "HypernodesConfig", "different", "slug"]


def slug(words: str) -> str:
    """As a part of a folder's name: what is neither a letter nor a digit becomes a dash."""
    return re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-")


@dataclass(frozen=True)
class HyperSetConfig:
    """A hypergraph, with features, labels and splits."""

    name: str = "planted"  # of moiety.data.load_hypergraph
    options: dict[str, Any] = field(default_factory=dict)  # its further arguments


@dataclass(frozen=True)
class HyperFitConfig:
    """Training with Adam; the weights are those of the last epoch, so that no node outside the split chooses them."""

    epochs: int = 200
    learning_rate: float = 0.01
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError(
                f"expected epochs >= 1, learning_rate > 0, weight_decay >= 0, found {self.epochs}, "
                f"{self.learning_rate}, {self.weight_decay}"
            )


@dataclass(frozen=True)
class HyperModelConfig:
    """A network, and how it is trained."""

    name: str = "hypergcn"  # of moiety.models.create_model, one for hypergraphs
    label: str = ""  # what tables call it; else its name
    options: dict[str, Any] = field(default_factory=dict)  # its arguments; in_features and num_classes come from data
    options_on: dict[str, Any] = field(default_factory=dict)  # by data set, before `options`: {"planted" = {...}}
    fit: HyperFitConfig = field(default_factory=HyperFitConfig)
    seeds: tuple[int, ...] = ()  # its own; none: the run's

    def __post_init__(self) -> None:
        if self.seeds:
            different("seeds", self.seeds)
        if any(not isinstance(options, dict) for options in self.options_on.values()):
            raise ValueError(f"expected a table of options a data set in options_on, found {self.options_on}")

    @property
    def title(self) -> str:
        return self.label or self.name

    def options_for(self, dataset: str) -> dict[str, Any]:
        return {**self.options, **self.options_on.get(dataset, {})}


@dataclass(frozen=True)
class HypernodesConfig:
    """One run: every network trained on every split of every data set with every seed."""

    task: Literal["hypernodes"] = "hypernodes"
    name: str = "planted"
    seeds: tuple[int, ...] = (0,)
    threads: int = 1
    splits: tuple[int, ...] = ()  # which of them, from 1; none: all
    sets: tuple[HyperSetConfig, ...] = (HyperSetConfig(),)
    models: tuple[HyperModelConfig, ...] = (HyperModelConfig(),)

    def __post_init__(self) -> None:
        different("seeds", self.seeds)
        different("names of sets", [one.name for one in self.sets])
        different("labels of models", [slug(one.title) for one in self.models])
        if len(set(self.splits)) != len(self.splits) or any(split < 1 for split in self.splits):
            raise ValueError(f"expected different splits, counted from 1, found {list(self.splits)}")
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(f"expected a name that a folder can have, found {self.name!r}")
        if self.threads < 1:
            raise ValueError(f"expected at least one thread, found {self.threads}")


def different(what: str, values: Sequence[Any]) -> None:
    """Raise ValueError unless there are values, each once."""
    if not values or len(set(values)) != len(values):
        raise ValueError(f"expected different {what}, at least one, found {list(values)}")
