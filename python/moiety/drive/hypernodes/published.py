"""Published test errors on the ten splits, in percent: label of a network -> data set -> (mean, standard deviation).

HGNN, 1-HyperGCN, FastHyperGCN and HyperGCN: the table of N. Yadati et al., HyperGCN, NeurIPS 2019, as its authors'
slides or a reader's copy of it give it; what neither does is left out. UniSAGE: what the README of the program of J.
Huang and J. Yang, IJCAI 2021, says that it prints.
"""

from __future__ import annotations

__all__ = ["PUBLISHED"]

PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "HGNN": {
        "cocitation-pubmed": (29.41, 1.5),
        "coauthorship-cora": (31.90, 1.9),
        "cocitation-cora": (32.41, 1.8),
        "cocitation-citeseer": (37.40, 1.6),
    },
    "1-HyperGCN": {
        "coauthorship-dblp": (33.87, 2.4),
        "cocitation-pubmed": (30.08, 1.5),
        "coauthorship-cora": (36.22, 2.2),
        "cocitation-cora": (34.45, 2.1),
        "cocitation-citeseer": (38.87, 1.9),
    },
    "FastHyperGCN": {
        "coauthorship-dblp": (27.34, 2.1),
        "cocitation-pubmed": (29.48, 1.6),
        "coauthorship-cora": (32.54, 1.8),
        "cocitation-cora": (32.43, 1.8),
        "cocitation-citeseer": (37.42, 1.7),
    },
    "HyperGCN": {
        "coauthorship-dblp": (24.09, 2.0),
        "cocitation-pubmed": (25.56, 1.6),
        "coauthorship-cora": (30.08, 1.8),
        "cocitation-cora": (32.37, 1.7),
        "cocitation-citeseer": (37.35, 1.6),
    },
    "UniSAGE": {"coauthorship-dblp": (11.46, 0.22)},
}
