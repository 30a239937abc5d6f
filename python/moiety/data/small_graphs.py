"""Two graphs that need no file: Zachary's karate club, and graphs drawn from a stochastic block model."""

from __future__ import annotations

import numpy as np
import torch

from moiety.data.graph_data import GraphData, random_split
from moiety.graph import Graph

__all__ = ["karate", "stochastic_blocks"]

# W. Zachary, An Information Flow Model for Conflict and Fission in Small Groups, J. Anthropological Research 33, 1977,
# figure 1: 34 members, 78 pairs that met outside the club. Each row: a member, and those of higher number that it met.
FRIENDS: dict[int, tuple[int, ...]] = {
    0: (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 19, 21, 31),
    1: (2, 3, 7, 13, 17, 19, 21, 30),
    2: (3, 7, 8, 9, 13, 27, 28, 32),
    3: (7, 12, 13),
    4: (6, 10),
    5: (6, 10, 16),
    6: (16,),
    8: (30, 32, 33),
    9: (33,),
    13: (33,),
    14: (32, 33),
    15: (32, 33),
    18: (32, 33),
    19: (33,),
    20: (32, 33),
    22: (32, 33),
    23: (25, 27, 29, 32, 33),
    24: (25, 27, 31),
    25: (31,),
    26: (29, 33),
    27: (33,),
    28: (31, 33),
    29: (32, 33),
    30: (32, 33),
    31: (32, 33),
    32: (33,),
}
# Who stayed with the instructor (member 0) when the club split, and who left with the officer (member 33).
INSTRUCTORS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 16, 17, 19, 21)
HELD_OUT = (3, 7, 11, 15, 19, 23, 27, 31)


def karate() -> GraphData:
    """Zachary's karate club: 34 members in two communities, no features but who somebody is.

    The two leaders are trained on, every fourth member validates, the other 24 are the test.
    """
    pairs = torch.tensor([(a, b) for a, others in FRIENDS.items() for b in others]).t()
    graph = Graph.from_edge_index(torch.cat([pairs, pairs.flip(0)], 1), num_nodes=34)
    y = torch.ones(34, dtype=torch.int64)
    y[list(INSTRUCTORS)] = 0
    train, valid = torch.zeros(34, dtype=torch.bool), torch.zeros(34, dtype=torch.bool)
    train[[0, 33]] = True
    valid[list(HELD_OUT)] = True
    return GraphData("karate", graph, torch.eye(34), y, train, valid, ~train & ~valid, ("instructor", "officer"))


def stochastic_blocks(
    nodes: int = 1000,
    classes: int = 4,
    inside: float = 8.0,
    outside: float = 2.0,
    features: int = 16,
    signal: float = 0.5,
    train: int = 20,
    valid: int = 30,
    seed: int = 0,
) -> GraphData:
    """A planted partition (P. Holland, K. Laskey and S. Leinhardt, Social Networks 5, 1983): `nodes` in equal classes,
    undirected edges independent, a node has about `inside` of them in its class and `outside` to others.

    features: normal numbers with deviation 1, whose means are `signal` times a normal vector of the class.
    """
    if classes < 2 or nodes < classes or features < 1 or min(inside, outside, signal) < 0:
        raise ValueError(
            f"expected 2 classes or more, as many nodes, a feature and no negative number, got {classes} classes, "
            f"{nodes} nodes, {features} features, {inside}, {outside}, {signal}"
        )
    rng = np.random.default_rng(seed)
    y = np.arange(nodes) % classes
    size = nodes / classes
    within, between = inside / max(size - 1, 1), outside / (nodes - size)
    if max(within, between) > 1:
        raise ValueError(f"expected fewer edges a node than there are nodes, got {inside} in and {outside} out")
    sources, targets = [], []
    for i in range(nodes):  # one row of the upper triangle at a time
        met = np.flatnonzero(rng.random(nodes - i - 1) < np.where(y[i + 1 :] == y[i], within, between)) + i + 1
        sources.append(met)
        targets.append(np.full(len(met), i))
    pairs = torch.from_numpy(np.stack([np.concatenate(sources), np.concatenate(targets)]))
    means = signal * rng.standard_normal((classes, features))
    x = torch.from_numpy((means[y] + rng.standard_normal((nodes, features))).astype(np.float32))
    labels = torch.from_numpy(y)
    masks = random_split(labels, train, valid, seed)
    graph = Graph.from_edge_index(torch.cat([pairs, pairs.flip(0)], 1), num_nodes=nodes)
    return GraphData("sbm", graph, x, labels, *masks, tuple(str(k) for k in range(classes)))
