"""From a network to a supernet with gates, and back to a plain network with an architecture."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from moiety.nn import Gate, X2Act, initialise_x2
from moiety.search.architecture import Architecture

__all__ = ["choose", "export", "freeze", "gates", "relax"]

ACTIVATIONS = ("relu", "x2", "identity")
POOLS = ("max", "avg")
RELUS = (nn.ReLU, nn.ReLU6)


def gates(model: nn.Module) -> dict[str, Gate]:
    """Path -> gate, in the order of the modules."""
    return {path: module for path, module in model.named_modules() if isinstance(module, Gate)}


def relax(
    model: nn.Module,
    example: Tensor,
    *,
    activations: Sequence[str] = ACTIVATIONS,
    pools: Sequence[str] = POOLS,
    granularity: Literal["layer", "channel"] = "layer",
) -> nn.Module:
    """A copy of `model` in which every activation (ReLU, ReLU6, X2Act) and every pooling is a `Gate` over candidates.

    The weights stay; a gate has the path of the module that it replaces, and that module is one of its candidates. A
    new quadratic has one triple of coefficients a channel, started at the fit of ReLU for the inputs that it gets
    (`moiety.nn.initialise_x2`).

    example: inputs (N, ...) that show every activation's channels and the statistics of its inputs: real samples.
    activations, pools: names of the candidates, of ("relu", "x2", "identity") and ("max", "avg"); fewer than two of
    them leave modules of that kind as they are.
    """
    for names, known in ((activations, ACTIVATIONS), (pools, POOLS)):
        if set(names) - set(known) or len(set(names)) != len(names):
            raise ValueError(f"expected different candidates among {list(known)}, found {list(names)}")
    supernet = copy.deepcopy(model)
    if gates(supernet):
        raise ValueError(f"the model has gates already ({next(iter(gates(supernet)))}): relax the plain network")
    found = {path: module for path, module in supernet.named_modules() if _is_activation(module) or _is_pool(module)}
    inputs = _inputs(supernet, example, found)
    fresh: list[str] = []
    for path, module in found.items():
        names = activations if _is_activation(module) else pools
        if len(names) < 2 or path not in inputs:
            continue
        channels = inputs[path]
        if _is_activation(module):
            candidates = {name: _activation(name, module, channels) for name in names}
            if candidates.get("x2", module) is not module:
                fresh.append(path)
        else:
            candidates = {name: _pool(name, module) for name in names}
        gate = Gate(candidates, channels=channels, granularity=granularity)
        supernet.set_submodule(path, gate.train(module.training))
    if not gates(supernet):
        raise ValueError(
            f"{type(model).__name__} has nothing to search for: expected modules nn.ReLU, moiety.nn.X2Act, "
            "nn.MaxPool2d or nn.AvgPool2d, and at least two candidates"
        )
    if fresh:
        _start_quadratics(supernet, example, fresh)
    return supernet


def export(supernet: nn.Module, model: dict[str, object] | None = None) -> Architecture:
    """What every gate has been fixed to, else its most probable candidate."""
    return Architecture({path: gate.decided() for path, gate in _some_gates(supernet).items()}, model)


def freeze(model: nn.Module, architecture: Architecture, example: Tensor | None = None) -> nn.Module:
    """A copy of a supernet with every gate replaced by its chosen candidate: plain modules, weights kept.

    `model` may also be the plain network: then `example`, an input, shows the channels of new quadratic activations.
    """
    if gates(model):
        frozen = copy.deepcopy(model)
    else:
        names = {name for c in architecture.gates.values() for name in ([c] if isinstance(c, str) else c)}
        if example is None:
            raise ValueError(
                "freezing a network without gates needs example=, an input: its activations' channels are unknown"
            )
        frozen = relax(
            model, example, granularity=_granularity(architecture), pools=POOLS if names & set(POOLS) else ()
        )
    found = gates(frozen)
    if set(found) != set(architecture.gates):
        raise ValueError(
            f"the architecture is of another network: gates {sorted(set(architecture.gates) - set(found))} are not in "
            f"the model, and it says nothing of {sorted(set(found) - set(architecture.gates))}"
        )
    choose(frozen, architecture)
    for path, gate in found.items():
        frozen.set_submodule(path, gate.freeze())
    return frozen


def choose(supernet: nn.Module, architecture: Architecture | None) -> None:
    """Fixes every gate of a supernet, in place; None releases them all."""
    for path, gate in gates(supernet).items():
        try:
            gate.choose(None if architecture is None else architecture.gates[path])
        except ValueError as error:
            raise ValueError(f"gate {path}: {error}") from error


def _some_gates(supernet: nn.Module) -> dict[str, Gate]:
    found = gates(supernet)
    if not found:
        raise ValueError(f"{type(supernet).__name__} has no gates: make a supernet of it with moiety.search.relax")
    return found


def _granularity(architecture: Architecture) -> Literal["layer", "channel"]:
    return "channel" if any(isinstance(choice, list) for choice in architecture.gates.values()) else "layer"


def _is_activation(module: nn.Module) -> bool:
    return type(module) in RELUS or isinstance(module, X2Act)


def _is_pool(module: nn.Module) -> bool:
    return isinstance(module, nn.MaxPool2d | nn.AvgPool2d)


def _activation(name: str, module: nn.Module, channels: int) -> nn.Module:
    if name == "identity":
        return nn.Identity()
    if name == "relu":
        return module if type(module) in RELUS else nn.ReLU()
    return module if isinstance(module, X2Act) else X2Act(channels)


def _pool(name: str, module: nn.Module) -> nn.Module:
    kind = nn.MaxPool2d if name == "max" else nn.AvgPool2d
    if type(module) is kind:
        return module
    assert isinstance(module, nn.MaxPool2d | nn.AvgPool2d)
    return kind(module.kernel_size, module.stride, module.padding, ceil_mode=module.ceil_mode)


@torch.no_grad()
def _inputs(model: nn.Module, example: Tensor, found: dict[str, nn.Module]) -> dict[str, int]:
    """Channels at each module that runs. One that runs twice would be two decisions in one gate."""
    channels: dict[str, int] = {}

    def see(path: str, x: Tensor) -> None:
        if path in channels:
            raise ValueError(
                f"{path} runs twice in one forward: give each place a module of its own, so that it gets a gate"
            )
        channels[path] = x.shape[1]

    handles = [
        module.register_forward_pre_hook(lambda _m, inputs, path=path: see(path, inputs[0]))
        for path, module in found.items()
    ]
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()(example[:2])
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return channels


def _start_quadratics(supernet: nn.Module, example: Tensor, fresh: list[str]) -> None:
    """Fits the new quadratic activations to their inputs; those that the network came with keep their coefficients."""
    every = gates(supernet)
    kept = {
        path: copy.deepcopy(gate.candidates["x2"].state_dict())
        for path, gate in every.items()
        if path not in fresh and "x2" in gate.names
    }
    for path in fresh:  # statistics are those behind the activation that the network had
        every[path].choose("relu" if "relu" in every[path].names else None)
    initialise_x2(supernet, example)
    for path, state in kept.items():
        every[path].candidates["x2"].load_state_dict(state)
    for path in fresh:
        every[path].choose(None)
