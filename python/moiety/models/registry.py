"""Models by name.

A factory registers itself where its file is imported; the names of the package's own files are listed here, so that
`list_models` imports none of them, nor torch.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Entry", "create_model", "find_model", "list_models", "register_model"]

Factory = TypeVar("Factory", bound="Callable[..., nn.Module]")

IMAGE_FILES = {
    "moiety.models.mobilenet_v2": ("mobilenet_v2",),
    "moiety.models.pasnet": ("pasnet_a", "pasnet_b", "pasnet_c", "pasnet_d"),
    "moiety.models.polynext": ("polynext_lr", "polynext_s", "polynext_t"),
    "moiety.models.resnet": ("resnet8", "resnet18", "resnet20", "resnet34", "resnet50"),
    "moiety.models.resnet_cifar": ("resnet_cifar",),
    "moiety.models.vgg": ("vgg16",),
}
GRAPH_FILES = {
    "moiety.models.appnp": ("appnp",),
    "moiety.models.gat": ("gat", "gatv2"),
    "moiety.models.gcn": ("gcn",),
    "moiety.models.gin": ("gin",),
    "moiety.models.graphsage": ("graphsage",),
    "moiety.models.sgc": ("sgc",),
}
SERIES_FILES = {  # on the nodes of a graph, forecast
    "moiety.models.agcrn": ("agcrn",),
    "moiety.models.tgcn": ("tgcn",),
    "moiety.models.zgcnet": ("zgcnet",),
}
HYPERGRAPH_FILES = {
    "moiety.models.edhnn": ("allset", "edhnn"),
    "moiety.models.hgnn": ("hgnn",),
    "moiety.models.hyper_mlp": ("hyper_mlp",),
    "moiety.models.hypergcn": ("fast_hypergcn", "hypergcn", "one_hypergcn"),
    "moiety.models.unisage": ("unigcn", "unisage"),
}
FILES = {**IMAGE_FILES, **GRAPH_FILES, **SERIES_FILES, **HYPERGRAPH_FILES}


@dataclass(frozen=True)
class Entry:
    """What is registered under a name."""

    name: str
    factory: Callable[..., nn.Module]
    paper: str  # authors, title, where and when

    @property
    def summary(self) -> str:
        """The first line of the factory's docstring."""
        return (inspect.getdoc(self.factory) or "").partition("\n")[0]

    def options(self) -> dict[str, Any]:
        """The factory's arguments with their defaults; `inspect.Parameter.empty` where there is none."""
        return {name: option.default for name, option in inspect.signature(self.factory).parameters.items()}


REGISTERED: dict[str, Entry] = {}


def register_model(name: str, *, paper: str) -> Callable[[Factory], Factory]:
    """Decorates a factory, which takes keyword arguments and returns an untrained `nn.Module`.

    By convention it takes those of `num_classes`, `image_size`, `activation`, `pool` and `width` that mean something to
    it; every activation and every pooling is a module instance of its own, so that a search can replace it. A factory
    for graphs takes `in_features`, which has no default, instead of an image's size; one that forecasts series takes
    `num_nodes`, which has none either, `in_channels`, `out_channels`, `lag` and `horizon`.
    """

    def register(factory: Factory) -> Factory:
        known = REGISTERED.get(name)
        if known is not None and (known.factory.__module__, known.factory.__qualname__) != (
            factory.__module__,
            factory.__qualname__,
        ):
            raise ValueError(f"a model {name!r} is registered already by {known.factory.__module__}: take another name")
        REGISTERED[name] = Entry(name, factory, paper)
        return factory

    return register


def list_models(
    pattern: str = "*", inputs: Literal["images", "graphs", "series", "hypergraphs"] | None = None
) -> list[str]:
    """The names that match the shell pattern, sorted: ``list_models("resnet*")``; those for one kind of input only."""
    hypergraphs = {name for own in HYPERGRAPH_FILES.values() for name in own}
    graphs = {name for own in GRAPH_FILES.values() for name in own}
    graphs |= {name for name, entry in REGISTERED.items() if "in_features" in entry.options()} - hypergraphs
    series = {name for own in SERIES_FILES.values() for name in own}
    series |= {name for name, entry in REGISTERED.items() if "horizon" in entry.options()}
    names = {name for own in FILES.values() for name in own} | set(REGISTERED)
    if inputs is not None:
        others = {"graphs": graphs, "series": series, "hypergraphs": hypergraphs}
        names = names - graphs - series - hypergraphs if inputs == "images" else others[inputs]
    return sorted(name for name in names if fnmatchcase(name, pattern))


def find_model(name: str) -> Entry:
    """What is registered under `name`; imports the file that holds it."""
    for file, own in FILES.items():
        if name in own:
            importlib.import_module(file)
    if name not in REGISTERED:
        near = difflib.get_close_matches(name, list_models(), 3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"there is no model {name!r}: {hint}expected one of {', '.join(list_models())}")
    return REGISTERED[name]


def create_model(name: str, **options: Any) -> nn.Module:
    """An untrained network in training mode.

    options: the factory's, mostly num_classes, image_size, activation ("relu", "relu6", "x2", "identity" or a function
    from the number of channels to a module), pool ("max" or "avg") and width; `docs/models.md` lists them. Networks for
    graphs, called with features (nodes, in_features) and a graph, want in_features and num_classes.
    """
    entry = find_model(name)
    known = entry.options()
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"model {name!r} has no option {option!r}: {hint}expected {', '.join(known)}")
    if missing := [key for key, default in known.items() if default is inspect.Parameter.empty and key not in options]:
        raise ValueError(f"model {name!r} wants the option {', '.join(missing)}")
    return entry.factory(**options)
