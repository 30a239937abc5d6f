"""Training of one network on windows: the loop over epochs, its validation, and the forecasts of what came out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checkpoint import Checkpoint
from .config import ForecastFitConfig
from .images import Images
from .windows import Batch, Windows

__all__ = ["Fitted", "Forecaster", "fit", "forecasts"]

CHECKPOINT_S = 10.0
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mae": F.l1_loss, "huber": F.smooth_l1_loss, "mse": F.mse_loss}


@dataclass(frozen=True)
class Fitted:
    """A training that is over."""

    epochs: int
    kept: int  # the epoch whose weights are in the network
    valid: float  # its mean absolute error in validation, in the series' unit


class Forecaster(nn.Module):
    """A network with the images that it reads, from batches to scaled forecasts (B, horizon, N, 1)."""

    def __init__(self, network: nn.Module, images: Images | None, residual: int = 0) -> None:
        super().__init__()
        self.network, self.residual = network, residual
        self.image = None if images is None else images.layer()
        self._images = images

    def images_of(self, starts: Tensor) -> tuple[Tensor, Tensor]:
        """What `image` makes the images of the windows that begin there from."""
        assert self._images is not None
        return self._images.of(starts)

    def forward(self, batch: Batch) -> Tensor:
        zpi = None if self.image is None else self.image(*self.images_of(batch.starts))
        found: Tensor = self.network(batch.x, zpi)
        return self.whole(found, batch)

    def whole(self, found: Tensor, batch: Batch) -> Tensor:
        """The forecast (B, horizon, N, 1) from what the network says of a batch."""
        return found + batch.base(self.residual) if self.residual else found


def fit(
    model: Forecaster,
    windows: Windows,
    config: ForecastFitConfig,
    seed: int,
    *,
    progress: Callable[[dict[str, Any]], None] = lambda event: None,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Train `model` and leave the weights of the best epoch by validation in it.

    An epoch's random numbers depend on the seed and its number alone, so that a continued run is the uninterrupted one.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    state: dict[str, Any] = {"epoch": 0, "valid": math.inf, "kept": -1, "weights": None}
    if checkpoint is not None and (found := checkpoint.load()) is not None:
        state = found
        model.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])
    epoch, best, kept, weights = state["epoch"], state["valid"], state["kept"], state["weights"]
    loss_of, saved = LOSSES[config.loss], time.monotonic()
    while epoch < config.epochs and not (config.patience and epoch - 1 - kept >= config.patience):
        torch.manual_seed(seed * 1_000_003 + epoch)
        share = 0.5 * (1 + math.cos(math.pi * epoch / config.epochs)) if config.schedule == "cosine" else 1.0
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * share
        model.train()
        order = windows.train[torch.randperm(len(windows.train))]
        total, steps = 0.0, math.ceil(len(order) / config.batch)
        for step, starts in enumerate(torch.split(order, config.batch), 1):
            batch = windows.batch(starts)
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(batch), windows.scaled(batch.y))
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, config.clip)
            optimizer.step()
            total += loss.item() * len(starts)
            if step < steps:
                progress({"phase": "training", "epoch": epoch, "epochs": config.epochs, "step": step, "steps": steps})
        mean = total / len(order)
        if not math.isfinite(mean):
            raise ValueError(f"the loss of epoch {epoch} is {mean}: expected a smaller learning rate")
        valid = (forecasts(model, windows, windows.valid) - windows.batch(windows.valid).y).abs().mean().item()
        if valid < best:
            best, kept = valid, epoch
            weights = {name: value.clone() for name, value in model.state_dict().items()}
        progress({"phase": "training", "epoch": epoch, "epochs": config.epochs, "loss": mean, "valid": valid})
        epoch += 1
        if checkpoint is not None and time.monotonic() - saved > CHECKPOINT_S:
            saved = time.monotonic()
            checkpoint.save(
                {
                    "epoch": epoch,
                    "valid": best,
                    "kept": kept,
                    "weights": weights,
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                }
            )
    model.load_state_dict(weights)
    return Fitted(epoch, kept, best)


@torch.no_grad()
def forecasts(model: Forecaster, windows: Windows, starts: Tensor, batch: int = 64) -> Tensor:
    """(len(starts), horizon, N, 1) in the series' unit; the model's mode is kept."""
    training = model.training
    model.eval()
    found = torch.cat([windows.unscaled(model(windows.batch(part))) for part in torch.split(starts, batch)])
    model.train(training)
    return found
