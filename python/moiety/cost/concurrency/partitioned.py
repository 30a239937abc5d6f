"""What a partition costs a model: what workers send each other, how even their work is, how often they wait.

Every product with the graph needs the rows of its source vertices. A worker has those of its own partition; the
others, its *halo*, are sent once for each source tensor: rows x bytes of a row, forward, and the same in gradients
backward (readers to owners) where the backward pass goes through the product. Each such exchange is a superstep, and
training ends in one more, the sum of the parameters' gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .kernels import Gather, Kernel
from .watch import Step

if TYPE_CHECKING:
    from moiety.graph import Graph
    from moiety.graph.partitioning import Partition

__all__ = ["Exchange", "PartitionCost", "SampleCost", "of_partition", "of_sample"]


@dataclass(frozen=True)
class Exchange:
    """One superstep: `rows` rows of `row_bytes` bytes in all, over all workers."""

    module: str
    phase: str
    rows: int
    row_bytes: int

    @property
    def bytes(self) -> int:
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class PartitionCost:
    """Exact counts. `halo[p]`: vertices of others that part p reads; imbalances are the largest part over the mean."""

    parts: int
    method: str
    edge_cut: int
    halo: tuple[int, ...]
    nodes: tuple[int, ...]
    edges: tuple[int, ...]
    node_imbalance: float
    edge_imbalance: float
    replication_factor: float
    exchanges: tuple[Exchange, ...]
    parameter_bytes: int  # of the gradients that are summed over the workers

    @property
    def rows(self) -> int:
        """Rows that cross between workers in one exchange."""
        return sum(self.halo)

    def volume(self, width: int, word: int = 4) -> int:
        """Bytes that an exchange of `width` features moves."""
        return self.rows * width * word

    @property
    def bytes_forward(self) -> int:
        return sum(e.bytes for e in self.exchanges if e.phase == "forward")

    @property
    def bytes_backward(self) -> int:
        return sum(e.bytes for e in self.exchanges if e.phase == "backward")

    @property
    def supersteps(self) -> int:
        """Times that all workers wait for each other in a pass."""
        return len(self.exchanges) + (self.parameter_bytes > 0)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {
            "bytes_forward": self.bytes_forward,
            "bytes_backward": self.bytes_backward,
            "supersteps": self.supersteps,
        }


def of_partition(steps: Sequence[Step], graph: Graph, made: Partition, parameter_bytes: int = 0) -> PartitionCost:
    """The cost of running `steps`, traced on `graph`, on the parts of a partition of it."""
    statistics = made.statistics(graph)
    exchanges: list[Exchange] = []
    seen: set[tuple[str, int]] = set()
    for step in steps:
        if step.source is None or (step.phase, step.source) in seen:
            continue
        rows = _crossing(step.kernel, graph, made, sum(statistics.halo))
        if rows is not None:
            seen.add((step.phase, step.source))
            exchanges.append(Exchange(step.module, step.phase, rows, step.row_bytes))
    return PartitionCost(
        made.parts,
        made.method,
        statistics.edge_cut,
        statistics.halo,
        statistics.nodes,
        statistics.edges,
        statistics.node_imbalance,
        statistics.edge_imbalance,
        statistics.replication_factor,
        tuple(exchanges),
        parameter_bytes if made.parts > 1 else 0,
    )


def _crossing(kernel: Kernel, graph: Graph, made: Partition, halo: int) -> int | None:
    """Rows that cross for one kernel's sources; None for rows that every worker has, such as those of its own edges."""
    import torch

    if not isinstance(kernel, Gather):
        pattern = getattr(kernel, "pattern", None)
        whole = pattern is not None and pattern.rows == pattern.num_cols == graph.num_nodes
        return halo if whole else None
    index = torch.from_numpy(kernel.index.values)
    if kernel.index.nodes != graph.num_nodes or len(index) != graph.num_edges:
        return None
    part = made.assignment.to(torch.int64)
    reader = part[graph.edge_index[1]]  # the worker of an edge is that of its target
    remote = part[index] != reader
    return int(torch.unique(reader[remote] * graph.num_nodes + index[remote]).numel()) or None


@dataclass(frozen=True)
class SampleCost:
    """A mini-batch by neighbour sampling. `support[h]`: vertices within h hops of the batch that was drawn, the batch
    among them: its support set. `whole[h]`: without sampling. `bound[h]`: batch * product of (1 + fan-out), or all.
    """

    batch: int
    fanouts: tuple[int, ...]
    support: tuple[int, ...]
    whole: tuple[int, ...]
    bound: tuple[int, ...]
    edges: tuple[int, ...]  # drawn in each hop

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def of_sample(graph: Graph, batch: int, fanouts: Sequence[int], seed: int = 0) -> SampleCost:
    """Of `batch` vertices drawn by the seed (all of them if the graph has no more). Exact for these vertices."""
    import torch

    from moiety.graph import sample_neighbors

    nodes = graph.num_nodes
    batch = min(batch, nodes)
    seeds = torch.randperm(nodes, generator=torch.Generator().manual_seed(seed))[:batch]
    drawn = sample_neighbors(graph, seeds, list(fanouts), seed=seed)
    reached = torch.zeros(nodes, dtype=torch.bool)
    reached[seeds] = True
    whole, bound = [batch], [batch]
    for fanout in fanouts:
        source, target = graph.edge_index
        reached[source[reached[target]]] = True
        whole.append(int(reached.sum()))
        bound.append(min(nodes, bound[-1] * (1 + fanout)))
    return SampleCost(batch, tuple(fanouts), drawn.hops, tuple(whole), tuple(bound), drawn.edges_per_hop)
