"""Data sets of images, graphs, hypergraphs and series on graphs, and the batches that are drawn from images."""

from moiety.data.batching import Augment, batches, in_order, to_tensor
from moiety.data.datasets import dataset_names, load_dataset
from moiety.data.generated_traffic import generated_traffic
from moiety.data.graphs import graph_names, load_graph
from moiety.data.hypergraphs import hypergraph_names, load_hypergraph
from moiety.data.networks import load_dynamic_graph, load_token_network
from moiety.data.series_names import load_series, series_names
from moiety.data.splits import Dataset, Recipe, Split
from moiety.data.traffic import load_traffic

__all__ = [
    "Augment",
    "Dataset",
    "Recipe",
    "Split",
    "batches",
    "dataset_names",
    "generated_traffic",
    "graph_names",
    "hypergraph_names",
    "in_order",
    "load_dataset",
    "load_dynamic_graph",
    "load_graph",
    "load_hypergraph",
    "load_series",
    "load_token_network",
    "load_traffic",
    "series_names",
    "to_tensor",
]
