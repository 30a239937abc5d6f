"""Fine-tuning of an architecture, from the weights of the network that the supernet was made of."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from moiety.data import Split
from moiety.search.architecture import Architecture
from moiety.search.latency import base_architecture
from moiety.search.relax import choose, freeze, gates
from moiety.search.training import Checkpoint, FitConfig, Progress, fit

__all__ = ["finetune"]


def finetune(
    supernet: nn.Module,
    architecture: Architecture,
    split: Split,
    config: FitConfig | None = None,
    *,
    ramp: float = 0.5,
    teacher: nn.Module | None = None,
    valid: Split | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[nn.Module, list[dict[str, Any]]]:
    """The frozen network, trained on `split`, and `fit`'s history; `supernet` stays as it is.

    During the first part `ramp` of the training every gate goes from its first candidate, the operator that the weights
    were trained with, to its chosen one, linearly. The network never is far from one that works, where putting all
    quadratics in at once multiplies their errors through the depth. (PASNet's code ramps its activations in, too.)
    """
    config = config or FitConfig()
    if not 0 <= ramp <= 1:
        raise ValueError(f"expected a ramp of 0 to 1 of the training, found {ramp}")
    model = copy.deepcopy(supernet)
    start = base_architecture(model)
    choose(model, architecture)

    def schedule(network: nn.Module, done: float) -> None:
        share = 1.0 if ramp == 0 else min(done / ramp, 1.0)
        _between(network, start, architecture, share)

    history = fit(
        model,
        split,
        config,
        teacher=teacher,
        valid=valid,
        progress=progress,
        checkpoint=checkpoint,
        schedule=schedule,
    )
    return freeze(model, architecture).eval(), history


@torch.no_grad()
def _between(network: nn.Module, start: Architecture, end: Architecture, share: float) -> None:
    """Sets every gate to (1 - share) * its candidate in `start` + share * its candidate in `end`."""
    for path, gate in gates(network).items():
        first, last = start.gates[path], end.gates[path]
        if share >= 1 or first == last:
            gate.choose(last)
            continue
        gate.choose(None)
        gate.mode, gate.temperature = "soft", 1.0
        names = [last] if isinstance(last, str) else last
        theta = torch.zeros(len(gate.names), len(names))
        theta[gate.names.index(str(first))] += 1 - share
        for channel, name in enumerate(names):
            theta[gate.names.index(name), channel] += share
        logits = theta.clamp_min(math.exp(-60.0)).log()  # (K, 1) or (K, C)
        gate.alpha.copy_(logits.squeeze(1) if gate.alpha.ndim == 1 else logits.expand_as(gate.alpha))
