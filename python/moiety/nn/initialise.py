"""Starts every quadratic activation at the fit of ReLU for the inputs that it gets."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, fx, nn

from moiety.nn.gate import Gate
from moiety.nn.x2act import X2Act

__all__ = ["initialise_x2"]

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
Statistics = tuple[Tensor, Tensor]  # mean and variance, (C,)


def initialise_x2(model: nn.Module, data: Tensor | Iterable[Any] | None = None) -> None:
    """Sets every `X2Act` of `model`, those inside gates too, to `fit_quadratic` of its input's statistics a channel.

    data: a tensor (N, ...) or an iterable of batches (tensors, or tuples that start with one), on which they are
    measured in evaluation mode. Without it they are read from the batch normalisations in front: the output of one has
    mean beta and standard deviation |gamma|; a sum of several adds means and variances, as if independent.
    """
    statistics = _traced(model) if data is None else _measured(model, data)
    for path, activation, statistic in _targets(model):
        found = statistics.get(statistic)
        if found is None:
            raise ValueError(
                f"{path}: no batch normalisation in front that its input's statistics could be read from: pass data"
                if data is None
                else f"{path}: the data never reached it"
            )
        mean, variance = found
        activation.fit(mean, variance.sqrt())


def _targets(model: nn.Module) -> list[tuple[str, X2Act, str]]:
    """(path, activation, path of the module whose input is the activation's): its gate, else itself."""
    inside: dict[nn.Module, str] = {}
    for path, module in model.named_modules():
        if isinstance(module, Gate):
            inside.update({candidate: path for candidate in module.candidates.values()})
    return [
        (path, module, inside.get(module, path)) for path, module in model.named_modules() if isinstance(module, X2Act)
    ]


@torch.no_grad()
def _measured(model: nn.Module, data: Tensor | Iterable[Any]) -> dict[str, Statistics]:
    sums: dict[str, tuple[Tensor, Tensor, int]] = {}

    def observe(path: str, x: Tensor) -> None:
        x = x.double().transpose(0, 1).flatten(1)  # (C, samples)
        total, squares, count = sums.get(path, (torch.zeros(()), torch.zeros(()), 0))
        sums[path] = (total + x.sum(1), squares + (x * x).sum(1), count + x.shape[1])

    watched = {path for _, _, path in _targets(model)}
    handles = [
        module.register_forward_pre_hook(lambda _m, inputs, path=path: observe(path, inputs[0]))
        for path, module in model.named_modules()
        if path in watched
    ]
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        for batch in [data] if isinstance(data, Tensor) else data:
            model(batch if isinstance(batch, Tensor) else batch[0])
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return {
        path: ((total / n).float(), (squares / n - (total / n) ** 2).clamp_min(0).float())
        for path, (total, squares, n) in sums.items()
    }


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, X2Act | Gate) or super().is_leaf_module(m, module_qualified_name)


def _traced(model: nn.Module) -> dict[str, Statistics]:
    """Propagates the batch normalisations' statistics through the graph as far as they stay known."""
    try:
        graph = _Tracer().trace(model)
    except Exception as error:  # whatever the model's own code raises on a proxy
        raise ValueError(
            f"cannot trace {type(model).__name__} for its batch normalisations ({error}): pass data"
        ) from error
    modules = dict(model.named_modules())
    known: dict[fx.Node, Statistics] = {}
    inputs: dict[str, Statistics] = {}
    adds = (operator.add, operator.iadd, torch.add, "add", "add_")
    for node in graph.nodes:
        sources = [known.get(x) for x in node.args if isinstance(x, fx.Node)]
        if node.op == "call_module":
            module, path = modules[str(node.target)], str(node.target)
            if sources and sources[0] is not None:
                inputs[path] = sources[0]
            if isinstance(module, BATCH_NORMS):
                if module.affine:
                    known[node] = (module.bias.detach(), module.weight.detach() ** 2)
                else:
                    known[node] = (torch.zeros(module.num_features), torch.ones(module.num_features))
            elif isinstance(module, nn.Identity | nn.Dropout) and sources and sources[0] is not None:
                known[node] = sources[0]
        elif node.op in ("call_function", "call_method") and node.target in adds and len(sources) == 2:
            first, second = sources
            if first is not None and second is not None:
                known[node] = (first[0] + second[0], first[1] + second[1])
    return inputs
