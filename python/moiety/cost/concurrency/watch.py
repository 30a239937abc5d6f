"""Watches one pass of a torch module and says what it did: kernel by kernel, with depth, dataflow and live memory.

The module runs for real, on its own data, under a dispatch mode that sees every operator: torch's own and this
package's, which are kept from going straight to the core while they are watched. Each one becomes kernels with closed
forms (`translate`). Kernels that do not wait for each other's results count as side by side, so the depth is the
longest path through the kernels, each of them ending in a barrier of its own.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils.module_tracker import ModuleTracker
from torch.utils.weak import WeakIdKeyDictionary

from . import counted
from .kernels import Count, Kernel
from .rules_graph import WITHOUT_GRADIENTS
from .rules_hypergraph import WITH_INTEGER_RESULTS
from .translate import Call, Patterns, tensors_in, translate

__all__ = ["Step", "Trace", "trace"]

Phase = Literal["forward", "backward"]


@dataclass(frozen=True)
class Step:
    """One kernel. `stop` is the depth at which its results are there, on the longest path up to it."""

    kernel: Kernel
    operator: str
    module: str  # the path of the module that called it, "" for the outermost
    phase: Phase
    stop: int
    live: int  # bytes of intermediate results after it
    source: int | None = None  # number of the tensor whose rows an edge's far end names
    row_bytes: int = 0  # of one such row
    counted: Count | None = None  # of a run under counters


@dataclass
class Trace:
    """All kernels of a pass, in their order."""

    steps: list[Step] = field(default_factory=list)
    depth: int = 0  # longest path
    peak: int = 0  # bytes of intermediate results
    modules: int = 0  # calls of modules
    skipped: set[str] = field(default_factory=set)  # operators on integers and masks: not counted


@dataclass
class _Storage:
    """What is known of a block of memory: its number, and the depth at which its contents are there."""

    number: int
    ready: int = 0


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, modules: ModuleTracker, counting: bool, gradients: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.trace = Trace()
        self.modules, self.counting = modules, counting
        self.patterns = Patterns(gradients)
        self.storages: Any = WeakIdKeyDictionary()
        self.paths = {""}  # modules that have done something
        self.numbers = 0
        self.live = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name, mutable = func._schema.name, func._schema.is_mutable
        before = (args[0].clone(), *args[1:]) if mutable and self.counting and args else args  # what it writes to
        out = func(*args, **kwargs)
        results = tensors_in(out)
        if not results or (not mutable and self._views(results, args)):
            return out
        if not any(t.is_floating_point() for t in results) and name not in WITH_INTEGER_RESULTS:
            self.trace.skipped.add(name)
        else:
            if not self.patterns.gradients:
                results = results[: WITHOUT_GRADIENTS.get(name, len(results))]
            self._record(name, translate(name, before, kwargs, out, self.patterns), args, kwargs, results)
        return out

    def _views(self, results: list[Tensor], args: Any) -> bool:
        given = {t.untyped_storage()._cdata for t in tensors_in(list(args))}
        return all(t.untyped_storage()._cdata in given for t in results)

    def _record(self, name: str, calls: list[Call], args: Any, kwargs: Any, results: list[Tensor]) -> None:
        ready = max((self._known(t).ready for t in tensors_in([*args, *kwargs.values()])), default=0)
        for t in results:
            self._known(t, made=True)
        for call in calls:
            count = call.kernel.count
            ready += count.depth
            source = None if call.source is None else self._known(call.source).number
            self.trace.steps.append(
                Step(
                    call.kernel,
                    name,
                    self._path(),
                    "backward" if self.modules.is_bw else "forward",
                    ready,
                    self.live,
                    source,
                    call.kernel.gathered[0] if source is not None else 0,
                    _check(name, call) if self.counting else None,
                )
            )
        for t in results:
            self._known(t).ready = ready
        self.trace.depth = max(self.trace.depth, ready)

    def _known(self, tensor: Tensor, made: bool = False) -> _Storage:
        storage = tensor.untyped_storage()
        if storage not in self.storages:
            self.storages[storage] = _Storage(self.numbers)
            self.numbers += 1
            if made:
                self._add(storage.nbytes())
                weakref.finalize(storage, self._add, -storage.nbytes())
        found: _Storage = self.storages[storage]
        return found

    def _path(self) -> str:
        """The innermost module, without the outermost's name; going backward, of those that did something forward."""
        paths = {name.partition(".")[2] for name in self.modules.parents}
        if self.modules.is_bw:
            paths &= self.paths
        path = max(sorted(paths), key=lambda name: name.count(".") + bool(name), default="")
        self.paths.add(path)
        return path

    def _add(self, size: int) -> None:
        self.live += size
        self.trace.peak = max(self.trace.peak, self.live)


def _check(name: str, call: Call) -> Count | None:
    """Runs the kernel under counters; its result must be the operator's, or the rule is wrong."""
    if not call.operands and call.result is None:
        return None
    got, count = counted.run(call.kernel, *(t.detach().double().numpy() for t in call.operands), scalars=call.scalars)
    if call.result is not None:
        expected = call.result.detach().double().numpy()
        if not np.allclose(got.reshape(expected.shape), expected, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise RuntimeError(f"{name}: the counted {call.kernel.name} gives another result than the operator")
    return count


@contextmanager
def _seen() -> Iterator[None]:
    """Operators of this package take the registered way, where a dispatch mode sees them."""
    quadratic = import_module("moiety.ops.quadratic")  # the package has a function of this name
    graphs = import_module("moiety.ops.graph_common")
    with (
        mock.patch.object(graphs, "plain", return_value=False),
        mock.patch.object(quadratic, "_fits_kernel", return_value=False),
    ):
        yield


def trace(run: Callable[[], Any], backward: bool = False, counting: bool = False) -> Trace:
    """What `run()` does; with `backward`, also the gradients of its result, whose own gradient is ones.

    counting: every kernel with a closed form runs under counters too, whose results must equal the operator's
    (RuntimeError otherwise): for graphs of some hundred edges.
    """
    modules = ModuleTracker()
    watch = _Watch(modules, counting, backward)

    def entered(module: torch.nn.Module, args: Any) -> None:
        watch.trace.modules += 1

    hook = register_module_forward_pre_hook(entered)
    with _seen(), hook, torch.set_grad_enabled(backward), modules, watch:
        out = run()
        if backward:
            results = [t for t in tensors_in(out) if t.requires_grad]
            if not results:
                raise ValueError("backward: expected a result that depends on a parameter or input that has gradients")
            with _disable_current_modes():  # the loss is not the model's
                ones = [torch.ones_like(t) for t in results]
            torch.autograd.backward(results, ones)
    return watch.trace
