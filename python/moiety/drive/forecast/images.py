"""The zigzag barcodes of all windows of a run, as histograms that are computed once and kept in its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from moiety.data.series import SeriesData
from moiety.nn import ZigzagImage
from moiety.topology import Barcode, histograms, spans, zigzag_windows

from ..settings import to_dict
from .config import TopologyConfig

__all__ = ["Images", "barcodes", "make_images"]

FILE = "zigzag.safetensors"
LENGTH = 512  # steps whose barcodes are in memory at once


def barcodes(data: SeriesData, lag: int, config: TopologyConfig, start: int, stop: int) -> Sequence[Barcode]:
    """Of the windows that begin at steps start, ..., stop - 1, each `lag` steps long."""
    edges = data.weighted_edges(config.weighting, config.gamma).between(start, stop + lag - 1)
    snapshots, threads = edges.snapshots(config.alpha), torch.get_num_threads()
    return zigzag_windows(snapshots, window=lag, mode=config.mode, max_dimension=1, threads=threads)


class Images:
    """Histograms (windows, 2 lag, 2 lag) and axes (windows, 4) by a window's first step."""

    def __init__(self, counts: Tensor, axes: Tensor, lag: int, config: TopologyConfig) -> None:
        self._counts, self._axes, self._lag, self._config = counts, axes, lag, config

    def layer(self) -> ZigzagImage:
        """A new layer that makes images of what `of` gives."""
        c = self._config
        return ZigzagImage(self._lag, c.resolution, c.bandwidth, c.power, c.variant, c.learnable)

    def of(self, starts: Tensor) -> tuple[Tensor, Tensor]:
        return self._counts[starts], self._axes[starts]


def make_images(run: Path, data: SeriesData, lag: int, config: TopologyConfig) -> Images:
    """Of all windows; read from the run's folder when they are there, and written there when they are not."""
    from safetensors.torch import load_file, save

    path = run / FILE
    if not path.is_file():
        counts, axes = [], []
        windows = len(data.values) - lag + 1
        for start in range(0, windows, LENGTH):
            found = barcodes(data, lag, config, start, min(start + LENGTH, windows))
            by_dimension = [histograms(found, lag, dimension) for dimension in (0, 1)]
            counts.append(by_dimension[config.dimension].astype(np.int32))
            axes.append(spans(*by_dimension))
        tensors = {"counts": torch.from_numpy(np.concatenate(counts)), "axes": torch.from_numpy(np.concatenate(axes))}
        said = {"series": data.name, "topology": json.dumps(to_dict(config))}
        draft = path.with_name(f".{FILE}.{os.getpid()}")
        draft.write_bytes(save(tensors, said))
        os.replace(draft, path)
    tensors = load_file(path)
    return Images(tensors["counts"], tensors["axes"], lag, config)
