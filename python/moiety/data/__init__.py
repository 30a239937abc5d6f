"""Data sets of images and of graphs, and the batches that training and evaluation draw from images."""

from moiety.data.batching import Augment, batches, in_order, to_tensor
from moiety.data.datasets import dataset_names, load_dataset
from moiety.data.graphs import graph_names, load_graph
from moiety.data.splits import Dataset, Recipe, Split

__all__ = [
    "Augment",
    "Dataset",
    "Recipe",
    "Split",
    "batches",
    "dataset_names",
    "graph_names",
    "in_order",
    "load_dataset",
    "load_graph",
    "to_tensor",
]
