"""Architecture search against the latency of two-party computation (PASNet, DAC 2023, arXiv 2306.15513).

supernet = relax(network, images)
latency = Latency(supernet, images, moiety.cost.backend("analytic:1:1000"))
found = search(supernet, train, valid, latency, SearchConfig(target=0.02), teacher=network)
frozen = freeze(supernet, found.architecture)
fit(frozen, train, FitConfig(), teacher=network)
"""

from moiety.search.architecture import Architecture, Choice
from moiety.search.baselines import evolve, greedy, random_architectures, uniform
from moiety.search.bilevel import alpha_gradient, latency_loss
from moiety.search.fixed import fixed_point
from moiety.search.graphs import WholeGraph
from moiety.search.latency import Latency, base_architecture, uniform_architecture
from moiety.search.losses import Remembered
from moiety.search.polish import polish
from moiety.search.relax import choose, export, freeze, gates, relax
from moiety.search.searching import SearchConfig, SearchResult, prepare, search
from moiety.search.shared import Scorer, train_shared
from moiety.search.training import FitConfig, evaluate, fit
from moiety.search.tuning import finetune

__all__ = [
    "Architecture",
    "Choice",
    "FitConfig",
    "Latency",
    "Remembered",
    "Scorer",
    "SearchConfig",
    "SearchResult",
    "WholeGraph",
    "alpha_gradient",
    "base_architecture",
    "choose",
    "evaluate",
    "evolve",
    "export",
    "finetune",
    "fit",
    "fixed_point",
    "freeze",
    "gates",
    "greedy",
    "latency_loss",
    "polish",
    "prepare",
    "random_architectures",
    "relax",
    "search",
    "train_shared",
    "uniform",
    "uniform_architecture",
]
