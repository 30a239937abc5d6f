"""Zigzag persistence of anything that changes shape: exact barcodes, windows, distances, images."""

from moiety.topology.barcode import KINDS, Barcode
from moiety.topology.builders import power, rips, weight_rank
from moiety.topology.distances import bottleneck, wasserstein
from moiety.topology.engine import WindowBarcodes, representatives, snapshots_barcode, zigzag, zigzag_windows
from moiety.topology.filtration import Filtration
from moiety.topology.image import (
    histograms,
    image_of_bars,
    image_of_histograms,
    persistence_image,
    spans,
    stability_constant,
)
from moiety.topology.image_ends import continuous_bars
from moiety.topology.snapshots import Mode, Snapshots, feature_distances, snapshots_filtration

__all__ = [
    "KINDS",
    "Barcode",
    "Filtration",
    "Mode",
    "Snapshots",
    "WindowBarcodes",
    "bottleneck",
    "continuous_bars",
    "feature_distances",
    "histograms",
    "image_of_bars",
    "image_of_histograms",
    "persistence_image",
    "power",
    "representatives",
    "rips",
    "snapshots_barcode",
    "snapshots_filtration",
    "spans",
    "stability_constant",
    "wasserstein",
    "weight_rank",
    "zigzag",
    "zigzag_windows",
]
