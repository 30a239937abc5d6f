"""What the page of a run draws beside its errors: forecasts of two nodes, and one window's barcode and image."""

from __future__ import annotations

from typing import Any

import torch

from moiety.data.series import SeriesData

from .config import ForecastConfig
from .fitting import Forecaster, forecasts
from .images import barcodes
from .windows import Windows

__all__ = ["SHOWN", "draw"]

SHOWN = "shown.json"
STEPS = 288  # of the test that are drawn: a day of five minutes
NODES = 2


def draw(data: SeriesData, windows: Windows, model: Forecaster, config: ForecastConfig) -> dict[str, Any]:
    """The content of shown.json."""
    starts = windows.test[: STEPS + windows.horizon]
    found = forecasts(model, windows, starts)[..., 0]  # (windows, horizon, N)
    truth = windows.batch(starts).y[..., 0]
    moving = truth[:, 0].std(0).argsort(descending=True)[:NODES]  # nodes where the most happens
    lines = []
    for node in sorted(moving.tolist()):
        for ahead in sorted({0, windows.horizon - 1}):
            count = len(starts) - ahead  # what is said of the same steps: later forecasts begin earlier
            first = windows.horizon - 1 - ahead
            own = slice(first, min(first + STEPS, count))
            lines.append(
                {
                    "node": node,
                    "ahead": ahead + 1,
                    "step": int(starts[own][0]) + windows.lag + ahead,
                    "truth": rounded(truth[own, ahead, node]),
                    "forecast": rounded(found[own, ahead, node]),
                }
            )
    drawn: dict[str, Any] = {"forecasts": lines}
    if model.image is not None:
        counts, _ = model.images_of(windows.test)
        shown = int(counts.sum((1, 2)).argmax())  # the window with the most bars
        start = int(windows.test[shown])
        barcode = barcodes(data, windows.lag, config.topology, start, start + 1)[0]
        drawn["barcode"] = {str(d): barcode.intervals(d).tolist() for d in (0, 1)}
        drawn["window"] = {"step": start, "lag": windows.lag, "dimension": config.topology.dimension}
        with torch.no_grad():
            image = model.image(*model.images_of(windows.test[shown : shown + 1]))[0, 0]
        low, high = image.min(), image.max()
        drawn["image"] = (255 * (image - low) / (high - low).clamp(min=1e-30)).round().int().tolist()
    return drawn


def rounded(values: torch.Tensor) -> list[float]:
    return [round(value, 4) for value in values.tolist()]
