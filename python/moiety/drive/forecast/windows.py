"""Windows of a series: which steps are trained, validated and tested on, and the scaled batches of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from moiety.data.series import SeriesData

from .config import WindowConfig

__all__ = ["Batch", "Windows"]


@dataclass(frozen=True)
class Batch:
    """x (B, lag, N, channels) scaled; of what is forecast the steps read (B, lag, N, 1) scaled and y (B, horizon, N, 1)
    as it is; and the first steps."""

    x: Tensor
    past: Tensor
    y: Tensor
    starts: Tensor

    def base(self, count: int = 1) -> Tensor:
        """Of each node the median of the last `count` steps read (B, 1, N, 1), scaled."""
        return self.past[:, -count:].median(1, keepdim=True).values


class Windows:
    """All windows of a series in three parts, each a tensor of the windows' first steps."""

    def __init__(self, data: SeriesData, config: WindowConfig) -> None:
        unknown = [name for name in config.read if name not in data.channels]
        if unknown:
            raise ValueError(
                f"{data.name} has no channel {', '.join(unknown)}: expected some of {', '.join(data.channels)}"
            )
        self.lag, self.horizon = config.lag, config.horizon
        read = [data.channels.index(name) for name in config.read] or [0]
        steps = len(data.values)
        tested = int(steps * (1 - data.test))
        validated = tested - int(steps * config.valid)
        self.train, self.valid, self.test = (
            self._within(*part, data.name) for part in ((0, validated), (validated, tested), (tested, steps))
        )
        trained = data.values[:validated]
        mean, spread = trained.mean((0, 1)), trained.std((0, 1), correction=0)
        if float(spread[[0, *read]].min()) == 0:
            raise ValueError(f"{data.name}: expected values that change in training, found a channel that does not")
        self.mean, self.spread = float(mean[0]), float(spread[0])  # of what is forecast
        self.scales = {"mean": mean[read].tolist(), "std": spread[read].tolist()}
        self._inputs = (data.values[..., read] - mean[read]) / spread[read]
        if config.clock:
            self._inputs = torch.cat([self._inputs, clock(data)], -1)
        self._targets = data.values[..., :1]

    def _within(self, start: int, stop: int, name: str) -> Tensor:
        count = stop - start - self.lag - self.horizon + 1
        if count < 1:
            raise ValueError(
                f"{name}: {stop - start} steps of a part are fewer than a window's {self.lag} + {self.horizon}: "
                "expected shorter windows or a longer series"
            )
        return torch.arange(start, start + count)

    @property
    def channels(self) -> int:
        return self._inputs.shape[-1]

    def batch(self, starts: Tensor) -> Batch:
        at = starts[:, None]
        read, ahead = at + torch.arange(self.lag), at + self.lag + torch.arange(self.horizon)
        return Batch(self._inputs[read], self.scaled(self._targets[read]), self._targets[ahead], starts)

    def scaled(self, y: Tensor) -> Tensor:
        return (y - self.mean) / self.spread

    def unscaled(self, y: Tensor) -> Tensor:
        return y * self.spread + self.mean


def clock(data: SeriesData) -> Tensor:
    """Sine and cosine of the time of day (steps, nodes, 2); the first step is at midnight."""
    turn = 2 * math.pi * torch.arange(len(data.values)) * data.minutes / (24 * 60)
    return torch.stack([turn.sin(), turn.cos()], -1)[:, None].expand(-1, data.num_nodes, -1)
