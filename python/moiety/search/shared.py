"""Weights shared by all architectures, trained so that they rank them, and the score of an architecture with them.

A supernet trained as a soft mixture ranks discrete architectures badly: no path ever ran alone. Here every batch trains
one sampled architecture (S. Guo et al., "Single Path One-Shot", ECCV 2020), in turn with the supernet's first
candidates everywhere and with the cheapest (the sandwich rule, J. Yu and T. Huang, ICCV 2019), distilled from the
teacher. A sampled architecture first draws how frequent each candidate shall be, so that networks near every corner are
trained, not only mixtures of equal parts. To score one, its batch statistics are measured anew.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moiety.data import Split, batches, in_order
from moiety.nn import DivergenceError
from moiety.search import parallel
from moiety.search.architecture import Architecture, Choice
from moiety.search.latency import measure_batch_statistics
from moiety.search.losses import teach
from moiety.search.relax import choose, gates
from moiety.search.training import Checkpoint, FitConfig, Progress, Stepper, cycle, evaluating

__all__ = ["Scorer", "sample_architecture", "train_shared"]

ALLOWED = 0.1  # of an epoch's steps, that may diverge and are left out


def sample_architecture(names: dict[str, tuple[str, ...]], rng: np.random.Generator) -> Architecture:
    """Every gate draws its candidate, with frequencies that are drawn first, uniformly from the simplex."""
    known = list(dict.fromkeys(name for candidates in names.values() for name in candidates))
    frequency = dict(zip(known, rng.dirichlet(np.ones(len(known))), strict=True))
    chosen: dict[str, Choice] = {}
    for path, candidates in names.items():
        weights = np.array([frequency[name] for name in candidates]) + 1e-9
        chosen[path] = candidates[int(rng.choice(len(candidates), p=weights / weights.sum()))]
    return Architecture(chosen)


def train_shared(
    supernet: nn.Module,
    train: Split,
    config: FitConfig,
    corners: tuple[Architecture, ...],
    *,
    teacher: nn.Module | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Trains the weights of `supernet` in place, one architecture a batch; every fourth is one of `corners` in turn."""
    supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parallel.same_everywhere(supernet)
    names = {path: gate.names for path, gate in gates(supernet).items()}
    stepper = Stepper(supernet, config)
    steps, first = len(train) // config.batch, 0
    if checkpoint is not None and (state := checkpoint.load()) is not None:
        supernet.load_state_dict(state["supernet"])
        stepper.optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"]
    for epoch in range(first, config.epochs):
        supernet.train()
        rng = np.random.default_rng((config.seed, epoch, 2))
        total, diverged = 0.0, 0
        with parallel.synchronised(supernet):
            data = batches(
                train,
                config.batch,
                epoch=epoch,
                seed=config.seed,
                augment=config.variation,
                rank=parallel.rank(),
                world=parallel.world(),
            )
            for step, (images, labels) in enumerate(data):
                drawn = sample_architecture(names, rng)
                choose(supernet, corners[step // 4 % len(corners)] if corners and step % 4 == 0 else drawn)
                rate = config.learning_rate * cycle((epoch * steps + step) / (config.epochs * steps), config.warm_up)
                target = teach(teacher, images, config.bfloat16)
                try:
                    loss, _ = stepper(images, labels, target, rate, bfloat16=config.bfloat16)
                except DivergenceError:  # one architecture's with weights that are not its own: a step without it
                    diverged += 1
                    if diverged > ALLOWED * (step + 1 + 1 / ALLOWED):
                        raise
                    continue
                total += loss
                if progress is not None:
                    progress(
                        {"phase": "shared weights", "epoch": epoch, "epochs": config.epochs, "step": step + 1}
                        | {"steps": steps, "loss": total / (step + 1)}
                    )
        if checkpoint is not None:
            state = {"supernet": supernet.state_dict(), "optimizer": stepper.optimizer.state_dict()}
            checkpoint.save(state | {"epoch": epoch + 1})
    choose(supernet, None)


class Scorer:
    """Validation loss of an architecture with a supernet's weights; remembered.

    supernet: with shared weights; copied. valid: the images to score on. calibration: batches (N, C, H, W) on which
    each architecture's batch statistics are measured before.
    """

    def __init__(self, supernet: nn.Module, valid: Split, calibration: list[Tensor], *, bfloat16: bool = True) -> None:
        self.supernet = copy.deepcopy(supernet)
        self.bfloat16 = bfloat16
        self._calibration = calibration
        self._valid = list(in_order(valid, 500))
        self._known: dict[str, float] = {}

    @torch.no_grad()
    def __call__(self, architecture: Architecture) -> float:
        key = architecture.key
        if key not in self._known:
            choose(self.supernet, architecture)
            measure_batch_statistics(self.supernet, self._calibration, self.bfloat16)
            total, count = 0.0, 0
            with evaluating(self.supernet):
                for images, labels in self._valid:
                    with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bfloat16):
                        logits = self.supernet(images)
                    total += F.cross_entropy(logits.float(), labels, reduction="sum").item()
                    count += len(labels)
            value = total / count
            self._known[key] = value if np.isfinite(value) else float("inf")
        return self._known[key]

    @property
    def scored(self) -> int:
        """Architectures so far."""
        return len(self._known)
