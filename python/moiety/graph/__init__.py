"""Graphs and hypergraphs: built from anything, checked once, with what kernels and layers ask of them kept."""

from moiety.graph.graph import Graph
from moiety.graph.hetero import HeteroGraph
from moiety.graph.hetero_sampling import HeteroSample, sample_hetero_neighbors
from moiety.graph.hypergraph import Hypergraph
from moiety.graph.loader import Batch, ClusterBatch, ClusterLoader, HeteroBatch, NeighborLoader
from moiety.graph.partitioning import EdgePartition, Partition, partition, partition_edges
from moiety.graph.pyg import patch_pyg, unpatch_pyg
from moiety.graph.reorder import degree_order, rcm_order
from moiety.graph.sampling import Sample, sample_neighbors
from moiety.graph.walks import random_walks

__all__ = [
    "Batch",
    "ClusterBatch",
    "ClusterLoader",
    "EdgePartition",
    "Graph",
    "HeteroBatch",
    "HeteroGraph",
    "HeteroSample",
    "Hypergraph",
    "NeighborLoader",
    "Partition",
    "Sample",
    "degree_order",
    "partition",
    "partition_edges",
    "patch_pyg",
    "random_walks",
    "rcm_order",
    "sample_hetero_neighbors",
    "sample_neighbors",
    "unpatch_pyg",
]
