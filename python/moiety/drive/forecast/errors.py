"""Errors of forecasts by step ahead, and the forecasts that cost nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .windows import Windows

__all__ = ["BASELINES", "Errors", "baseline", "errors"]

BASELINES = {
    "last": "last value",
    "median": "median of the last three values",
    "zero": "0",
    "one": "1",
    "mean": "mean of the training steps",
}


@dataclass(frozen=True)
class Errors:
    """Means over windows and nodes, a number for each step ahead, and over all entries. MAPE is over entries that are
    not 0, in percent."""

    mae: tuple[float, ...]
    rmse: tuple[float, ...]
    mape: tuple[float, ...]
    all_mae: float
    all_rmse: float
    all_mape: float


def errors(forecast: Tensor, y: Tensor) -> Errors:
    """Of forecasts (windows, horizon, N, 1) of y, both in the series' unit."""
    away = (forecast.double() - y.double()).transpose(0, 1).flatten(1)  # (horizon, windows N)
    truth = y.double().transpose(0, 1).flatten(1)
    there = truth != 0
    relative = torch.where(there, away.abs() / truth.abs().clamp(min=1e-300), torch.zeros_like(away))
    counts = there.sum(1)

    def numbers(values: Tensor) -> tuple[float, ...]:
        return tuple(round(value, 6) for value in values.tolist())

    return Errors(
        mae=numbers(away.abs().mean(1)),
        rmse=numbers(away.square().mean(1).sqrt()),
        mape=numbers(100 * relative.sum(1) / counts.clamp(min=1)),
        all_mae=round(away.abs().mean().item(), 6),
        all_rmse=round(away.square().mean().sqrt().item(), 6),
        all_mape=round(100 * relative.sum().item() / max(int(counts.sum()), 1), 6),
    )


def baseline(name: str, windows: Windows, starts: Tensor) -> Errors:
    """Of one of `BASELINES` on the windows that begin at `starts`."""
    batch = windows.batch(starts)
    values = {"last": windows.unscaled(batch.base()), "median": windows.unscaled(batch.base(3)),
              "zero": torch.zeros(()), "one": torch.ones(()), "mean": torch.tensor(windows.mean)}  # fmt: skip
    return errors(values[name].expand_as(batch.y), batch.y)
