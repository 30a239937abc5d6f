"""What a run of the densest k-subhypergraph is asked to do, as frozen dataclasses from TOML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from moiety.train.hypergraph import DensestFit

from ..hypernodes.config import different, slug

__all__ = ["DensestConfig", "DensestDataConfig", "DensestModelConfig"]


@dataclass(frozen=True)
class DensestDataConfig:
    """Hypergraphs with a dense part, drawn anew (`moiety.train.hypergraph.planted_dense`)."""

    train: int = 30
    test: int = 20
    options: dict[str, Any] = field(default_factory=dict)  # its arguments but the seed
    seed: int = 0  # of the first one; all others follow it

    def __post_init__(self) -> None:
        if self.train < 1 or self.test < 1:
            raise ValueError(f"expected hypergraphs to train on and to test with, found {self.train} and {self.test}")


@dataclass(frozen=True)
class DensestModelConfig:
    """A network; it gets in_features and num_classes, which is `maps` here."""

    name: str = "hypergcn"  # of moiety.models.create_model, one for hypergraphs
    label: str = ""  # what tables call it; else its name
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return self.label or self.name


@dataclass(frozen=True)
class DensestConfig:
    """One run: every network trained with every seed, and the greedy methods, on the same hypergraphs."""

    task: Literal["densest"] = "densest"
    name: str = "densest"
    seeds: tuple[int, ...] = (0,)
    threads: int = 1
    maps: int = 8  # probabilities a node
    candidates: float = 1.5  # of these times k nodes a map RemoveMinDegree leaves k, beside the k likeliest
    data: DensestDataConfig = field(default_factory=DensestDataConfig)
    models: tuple[DensestModelConfig, ...] = (DensestModelConfig(),)
    fit: DensestFit = field(default_factory=DensestFit)

    def __post_init__(self) -> None:
        different("seeds", self.seeds)
        different("labels of models", [slug(one.title) for one in self.models])
        if self.maps < 1 or self.candidates < 1 or self.threads < 1:
            raise ValueError(
                f"expected maps, candidates and threads of at least 1, found {self.maps}, {self.candidates}, "
                f"{self.threads}"
            )
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(f"expected a name that a folder can have, found {self.name!r}")
