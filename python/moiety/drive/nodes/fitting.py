"""Training of a network on a graph's nodes: the loop over epochs, whatever their steps see."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from moiety.data.graph_data import GraphData

from ..checkpoint import Checkpoint
from .config import NodeFitConfig
from .engines import Engine

__all__ = ["Fitted", "Scores", "accuracy", "fit_nodes", "scores"]

CHECKPOINT_S = 10.0  # of an epoch of milliseconds a checkpoint each would be most of the time


@dataclass(frozen=True)
class Scores:
    """Accuracies, and the loss on the nodes that validate, of the network as it is."""

    train: float
    valid: float
    test: float
    valid_loss: float

    def better_than(self, other: Scores | None) -> bool:
        """By validation: a higher accuracy, or a lower loss at the same."""
        return other is None or (self.valid, -self.valid_loss) > (other.valid, -other.valid_loss)


@dataclass(frozen=True)
class Fitted:
    """A training that is over: how many epochs it took, and of which of them the weights are."""

    epochs: int
    kept: int
    scores: Scores


def fit_nodes(
    model: nn.Module,
    data: GraphData,
    engine: Engine,
    config: NodeFitConfig,
    seed: int,
    *,
    progress: Callable[[dict[str, Any]], None] = lambda event: None,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Train `model` and leave the weights of the epoch to keep in it.

    An epoch's random numbers depend on the seed and its number alone, so that a continued run is the uninterrupted one.
    """
    optimizer = torch.optim.Adam(parameter_groups(model, config), lr=config.learning_rate)
    state: dict[str, Any] = {"epoch": 0, "kept": None, "kept_epoch": -1, "weights": None}
    if checkpoint is not None and (found := checkpoint.load()) is not None:
        state = found
        model.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])
    kept = None if state["kept"] is None else Scores(**state["kept"])
    kept_epoch, weights, saved = state["kept_epoch"], state["weights"], time.monotonic()
    epoch = state["epoch"]

    while epoch < config.epochs and not (config.patience and epoch - 1 - kept_epoch >= config.patience):
        torch.manual_seed(seed * 1_000_003 + epoch)
        model.train()
        loss = engine.epoch(epoch, optimizer)
        now = scores(model, data)
        if config.keep == "last" or now.better_than(kept):
            kept, kept_epoch = now, epoch
            weights = {name: value.clone() for name, value in model.state_dict().items()}
        progress(
            {
                "phase": "training",
                "epoch": epoch,
                "epochs": config.epochs,
                "loss": loss,
                "train": now.train,
                "valid": now.valid,
            }
        )
        epoch += 1
        if checkpoint is not None and time.monotonic() - saved > CHECKPOINT_S:
            saved = time.monotonic()
            checkpoint.save(
                {
                    "epoch": epoch,
                    "kept": None if kept is None else vars(kept),
                    "kept_epoch": kept_epoch,
                    "weights": weights,
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                }
            )
    assert kept is not None
    model.load_state_dict(weights)
    return Fitted(epoch, kept_epoch, kept)


def parameter_groups(model: nn.Module, config: NodeFitConfig) -> list[dict[str, Any]]:
    """All parameters, with weight decay on those that the configuration says."""
    named = list(model.named_parameters())
    if config.decay == "all" or not named:
        return [{"params": [p for _, p in named], "weight_decay": config.weight_decay}]
    # The first layer: "convs.0." of "convs.0.lin.weight", "conv." of "conv.lin.weight".
    words = named[0][0].split(".")
    first = ".".join(words[: 2 if words[1:2] and words[1].isdigit() else 1]) + "."
    decayed = [p for name, p in named if name.startswith(first)]
    rest = [p for name, p in named if not name.startswith(first)]
    return [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]


@torch.no_grad()
def scores(model: nn.Module, data: GraphData) -> Scores:
    """Of the whole graph at once, in evaluation mode; the model's mode is kept."""
    training = model.training
    model.eval()
    logits = model(data.x, data.graph)
    model.train(training)
    valid = data.valid
    loss = float(F.cross_entropy(logits[valid], data.y[valid])) if bool(valid.any()) else 0.0
    train, held_out, test = (accuracy(logits, data.y, mask) for mask in (data.train, valid, data.test))
    return Scores(train, held_out, test, loss)


def accuracy(logits: Tensor, y: Tensor, mask: Tensor) -> float:
    """The part of the nodes in `mask` whose largest logit is their label's; 0 of no nodes."""
    return float((logits[mask].argmax(1) == y[mask]).float().mean()) if bool(mask.any()) else 0.0
