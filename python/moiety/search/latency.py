"""The latency of architectures: exact by compiling them, and a differentiable table for the search."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from moiety import private
from moiety.cost import Cost
from moiety.nn import ChannelMix, RangeWatch, X2Act
from moiety.search.architecture import Architecture, Choice
from moiety.search.graphs import WholeGraph
from moiety.search.relax import freeze, gates
from moiety.search.training import evaluating

__all__ = ["Latency", "base_architecture", "measure_batch_statistics", "uniform_architecture"]


class Backend(Protocol):
    """What `moiety.cost.backend` returns: seconds of a compiled program on some network or accelerator."""

    @property
    def name(self) -> str: ...

    def cost(self, program: Any, *, batch: int = 1, comparison: str = "auto") -> Cost: ...


class Latency:
    """Seconds of one private inference of `batch` samples, as a function of a supernet's architecture.

    supernet: whose gates are meant; its weights are copied. Before an architecture is compiled, its batch statistics
    and its ranges are measured on `example`, so that the widths of its comparisons are those of a trained network. One
    whose ranges no program can hold, as quadratics on weights that do not know them may give, is measured with the
    inputs of quadratic activations cut off at +-`bound`, where training will hold them (`FitConfig.bound`), and with
    no range beyond the margin of that.
    example: some real inputs (N, C, H, W); of a `WholeGraph`, (N, nodes, features).
    backend: of `moiety.cost`; `comparison` as in `moiety.private`, the same for all architectures.

    `table`, path of a gate -> candidate -> seconds relative to the gate's first candidate, comes from compiling each
    variant that differs from `base` (the first candidate everywhere) in one gate. One-gate differences do not add up
    exactly, because operations in parallel share rounds, so each candidate's are scaled to make the architecture that
    has it everywhere come out exactly.
    """

    def __init__(
        self,
        supernet: nn.Module,
        example: Tensor,
        backend: Backend,
        *,
        batch: int = 1,
        comparison: str = "auto",
        bound: float = 10.0,
    ) -> None:
        self._supernet, self.bound = copy.deepcopy(supernet), bound
        self.example, self.backend, self.batch, self.comparison = example, backend, batch, comparison
        self.names = {path: gate.names for path, gate in gates(supernet).items()}
        self.base = base_architecture(supernet)
        self._costs: dict[str, Cost] = {}
        self.base_seconds = self.exact(self.base).seconds
        self.table = self._marginals()

    def exact(self, architecture: Architecture) -> Cost:
        """By compiling the frozen network; remembered."""
        key = architecture.key
        if key not in self._costs:
            network = freeze(self._supernet, architecture)
            measure_batch_statistics(network, [self.example])
            try:
                program = self._program(network, self.example)
            except private.RangeError:
                with _held(network, self.bound):
                    measure_batch_statistics(network, [self.example])
                    measured = _ranges(network, self.example)
                limit = RangeWatch(network, self.bound).limit
                ranges = {path: min(most, limit) for path, most in measured.items()}
                program = self._program(network, ranges)
            self._costs[key] = self.backend.cost(program, batch=self.batch, comparison=self.comparison)
        return self._costs[key]

    def approximate(self, architecture: Architecture) -> float:
        """Seconds by the table."""
        return self.base_seconds + sum(self.entry(path, choice) for path, choice in architecture.gates.items())

    def expected(self, supernet: nn.Module) -> Tensor:
        """Seconds under the gates' probabilities, differentiable in their alphas: sum_l sum_j theta_lj Lat(OP_lj)."""
        total = torch.tensor(self.base_seconds)
        for path, gate in gates(supernet).items():
            theta = gate.probabilities()  # (K,) or (K, C)
            seconds = theta.new_tensor([self.table[path][name] for name in gate.names])
            total = total + ((theta if theta.ndim == 1 else theta.mean(1)) * seconds).sum()
        return total

    def cheapest(self) -> Architecture:
        """The candidate with the fewest seconds at every gate."""
        return Architecture({path: min(row, key=row.__getitem__) for path, row in self.table.items()})

    def entry(self, path: str, choice: Choice) -> float:
        """Seconds by the table relative to the gate's first candidate; the mean over the channels of a mixed gate."""
        row = self.table[path]
        return row[choice] if isinstance(choice, str) else sum(row[name] for name in choice) / len(choice)

    def _program(self, network: nn.Module, calibration: Tensor | dict[str, float]) -> private.Program:
        with evaluating(network):
            if isinstance(network, WholeGraph):
                return network.program(self.example, calibration)
            return private.compile(network, self.example[:1], calibration=calibration)

    def _marginals(self) -> dict[str, dict[str, float]]:
        table = {path: dict.fromkeys(names, 0.0) for path, names in self.names.items()}
        for name in dict.fromkeys(name for names in self.names.values() for name in names[1:]):
            paths = [path for path, names in self.names.items() if name in names[1:]]
            for path in paths:
                table[path][name] = self.exact(self.base.but({path: name})).seconds - self.base_seconds
            together = self.exact(self.base.but(dict.fromkeys(paths, name))).seconds - self.base_seconds
            alone = sum(table[path][name] for path in paths)
            if together * alone > 0:  # else the differences have no common direction to be scaled in
                for path in paths:
                    table[path][name] *= together / alone
        return table


def base_architecture(supernet: nn.Module) -> Architecture:
    """The first candidate at every gate: of a relaxed ReLU network, that network."""
    found = {path: gate.names[0] for path, gate in gates(supernet).items()}
    if not found:
        raise ValueError(f"{type(supernet).__name__} has no gates: make a supernet with moiety.search.relax")
    return Architecture(found)


def uniform_architecture(latency: Latency, name: str) -> Architecture:
    """`name` at every gate that has this candidate, the first candidate elsewhere."""
    return latency.base.but({path: name for path, names in latency.names.items() if name in names})


@contextmanager
def _held(network: nn.Module, bound: float) -> Iterator[None]:
    """While entered, the inputs of quadratic activations are cut off at +-bound."""
    handles = [
        module.register_forward_pre_hook(lambda _m, inputs: (inputs[0].clamp(-bound, bound),))
        for module in network.modules()
        if isinstance(module, X2Act | ChannelMix)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _ranges(network: nn.Module, example: Tensor) -> dict[str, float]:
    """What `moiety.private.calibrate` measures, by the modules themselves, whose hooks an exported graph has not."""
    found = {"input": float(example.abs().max())}

    def see(path: str, x: Tensor) -> None:
        found[path] = float(x.abs().max())

    handles = []
    for path, module in network.named_modules():
        if path:
            handles.append(module.register_forward_hook(lambda _m, _i, y, path=path: see(path, y)))
        if isinstance(module, X2Act | ChannelMix):
            handles.append(module.register_forward_pre_hook(lambda _m, x, path=path: see(f"{path}:input", x[0])))
    try:
        with evaluating(network):
            network(example)
    finally:
        for handle in handles:
            handle.remove()
    return found


@torch.no_grad()
def measure_batch_statistics(network: nn.Module, inputs: list[Tensor], bfloat16: bool = False) -> None:
    """Sets every batch normalisation's running statistics to their mean over the batches `inputs`."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    modes = {module: module.training for module in network.modules()}
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.train()
    for x in inputs:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
            network(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for module, mode in modes.items():
        module.training = mode
