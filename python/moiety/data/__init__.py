"""Data sets as bytes, and the batches that training and evaluation draw from them."""

from moiety.data.batching import Augment, batches, in_order, to_tensor
from moiety.data.datasets import dataset_names, load_dataset
from moiety.data.splits import Dataset, Recipe, Split

__all__ = ["Augment", "Dataset", "Recipe", "Split", "batches", "dataset_names", "in_order", "load_dataset", "to_tensor"]
