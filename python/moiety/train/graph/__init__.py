"""Training on one graph: whole, in samples, clusters, parts over processes and pipelines (docs/graph_training.md)."""

from moiety.train.graph.exchange import Counters
from moiety.train.graph.macro import MacroPipeline
from moiety.train.graph.micro import MicroPipeline
from moiety.train.graph.partitioned import InParts, PartitionParallel
from moiety.train.graph.plan import HaloPlan
from moiety.train.graph.stages import Layer, Stages
from moiety.train.graph.staleness import Ledger, Staleness

__all__ = [
    "Counters",
    "HaloPlan",
    "InParts",
    "Layer",
    "Ledger",
    "MacroPipeline",
    "MicroPipeline",
    "PartitionParallel",
    "Stages",
    "Staleness",
]
