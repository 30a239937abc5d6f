"""What a configuration is made of: images, networks, supernet, latency. Built once in each process, when first used."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from moiety.cost import backend
from moiety.data import Dataset, Split, in_order, load_dataset, to_tensor
from moiety.models import create_model, load_network
from moiety.search import Latency, Remembered, relax

from .config import DataConfig, RunConfig

if TYPE_CHECKING:
    from moiety.private import Program

__all__ = ["Bench", "calibration", "compile_program", "hold_out", "thin_out"]

EXAMPLES = 64  # real inputs on which the supernet's quadratics start and the latency's ranges are measured


def thin_out(split: Split, count: int | None) -> Split:
    """The first images of each class, evenly, in the split's order; about `count` in all."""
    if count is None or count >= len(split):
        return split
    return split.subset(np.sort(_first_of_each(split.labels, count)))


def hold_out(split: Split, part: float) -> tuple[Split, Split]:
    """(the rest, `part` of the images of every class): always the same ones, the last of each class."""
    held = np.zeros(len(split), bool)
    for label in np.unique(split.labels):
        rows = np.flatnonzero(split.labels == label)
        held[rows[len(rows) - round(part * len(rows)) :]] = True
    return split.subset(np.flatnonzero(~held)), split.subset(np.flatnonzero(held))


def _first_of_each(labels: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """Positions: one of every class in turn, until there are `count`."""
    rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    turns = [(turn, index, int(row)) for index, found in enumerate(rows) for turn, row in enumerate(found)]
    return np.array([row for _, _, row in sorted(turns)[:count]], dtype=np.int64)


class Bench:
    """The parts of one run; `teacher_file` is the all-ReLU network that every network starts from."""

    def __init__(self, config: RunConfig, teacher_file: Path) -> None:
        self.config, self.teacher_file = config, teacher_file

    @cached_property
    def dataset(self) -> Dataset:
        return load_dataset(self.config.data.name, **self.config.data.options)

    @cached_property
    def splits(self) -> tuple[Split, Split]:
        """(train, valid)."""
        data: DataConfig = self.config.data
        return hold_out(thin_out(self.dataset.train, data.images), data.valid)

    @property
    def train(self) -> Split:
        return self.splits[0]

    @property
    def valid(self) -> Split:
        return self.splits[1]

    @property
    def held_out(self) -> Split | None:
        """`valid`, if anything is held out."""
        return self.valid if len(self.valid) else None

    @property
    def test(self) -> Split:
        return self.dataset.test

    @cached_property
    def example(self) -> Tensor:
        """Some training images (N, C, H, W), of all classes."""
        rows = _first_of_each(self.train.labels, EXAMPLES)
        return to_tensor(self.train.images(rows), self.train)

    @property
    def model_arguments(self) -> dict[str, Any]:
        return {"num_classes": len(self.dataset.classes), **self.config.model.options}

    def new_network(self, seed: int) -> nn.Module:
        """An untrained one, drawn by the seed."""
        torch.manual_seed(seed)
        return create_model(self.config.model.name, **self.model_arguments)

    def metadata(self, choices: dict[str, Any]) -> dict[str, Any]:
        """What a network's file says, but for what is measured on it."""
        data = self.config.data
        return {
            "model": {"name": self.config.model.name, "kwargs": self.model_arguments},
            "gates": choices,
            "input_shape": list(self.dataset.input_shape),
            **self.dataset.metadata(),
            "trained_on": {"dataset": data.name, "images": len(self.train)},
        }

    @cached_property
    def teacher(self) -> nn.Module:
        network, metadata = load_network(self.teacher_file)
        found = metadata["model"]["name"]
        if found != self.config.model.name:
            raise ValueError(f"{self.teacher_file} holds a {found}: expected the weights of a {self.config.model.name}")
        return network.requires_grad_(False)

    @cached_property
    def tutor(self) -> nn.Module:
        """The teacher to distil from, asked once for a batch by all trainings of this process."""
        return Remembered(self.teacher)

    @cached_property
    def supernet(self) -> nn.Module:
        """The teacher with gates, in evaluation mode; users copy it."""
        g = self.config.gates
        return relax(
            self.teacher, self.example, activations=g.activations, pools=g.pools, granularity=g.granularity
        ).requires_grad_(True)

    @cached_property
    def latency(self) -> Latency:
        told = self.config.latency
        return Latency(self.supernet, self.example, backend(told.backend), batch=told.batch, comparison=told.comparison)

    def added_seconds(self) -> dict[str, dict[str, float]]:
        """Gate -> candidate -> seconds that it adds to those of the gate's cheapest candidate."""
        table = self.latency.table.items()
        return {gate: {name: s - min(row.values()) for name, s in row.items()} for gate, row in table}


def calibration(split: Split, count: int) -> list[Tensor]:
    """Batches of training images of all classes, on which ranges are measured."""
    chosen = thin_out(split, count)
    return [images for images, _ in in_order(chosen, 256)]


def compile_program(network: nn.Module, metadata: dict[str, Any], config: RunConfig) -> Program:
    """The program of a network as a file holds it."""
    from moiety import private

    bounds = metadata["activation_bounds"]
    if not all(math.isfinite(bound) for bound in bounds.values()):
        raise ValueError("the activation bounds are not finite: expected those of a run's weights.safetensors")
    public = {key: metadata[key] for key in ("preprocessing", "classes")}
    return private.compile(
        network,
        torch.zeros(1, *metadata["input_shape"]),
        calibration=bounds,
        ring=config.output.ring,
        fraction_bits=config.output.fraction_bits,
        metadata=public,
    )
