"""Zigzag persistence of anything that changes shape: exact barcodes, windows, distances, images."""

from moiety.topology.barcode import KINDS, Barcode
from moiety.topology.engine import WindowBarcodes, snapshots_barcode, zigzag, zigzag_windows
from moiety.topology.filtration import Filtration
from moiety.topology.image import (
    histograms,
    image_of_bars,
    image_of_histograms,
    persistence_image,
    spans,
    stability_constant,
)
from moiety.topology.snapshots import Mode, Snapshots, feature_distances, snapshots_filtration

__all__ = [
    "KINDS",
    "Barcode",
    "Filtration",
    "Mode",
    "Snapshots",
    "WindowBarcodes",
    "feature_distances",
    "histograms",
    "image_of_bars",
    "image_of_histograms",
    "persistence_image",
    "snapshots_barcode",
    "snapshots_filtration",
    "spans",
    "stability_constant",
    "zigzag",
    "zigzag_windows",
]
