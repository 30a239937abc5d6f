"""PyTorch Geometric on moiety's kernels: `patch_pyg` replaces what its layers and utilities compute with.

- The forward passes of the layers that `moiety.nn` has as well: they run on the same parameters, with the graph of an
  ``edge_index`` built once and remembered.
- ``torch_geometric.utils.spmm``, which layers call with a ``torch.sparse`` adjacency, and
  ``torch_geometric.utils.scatter``, with which all others aggregate.

What does not fit goes to PyG's own code: other devices and dtypes, hooks and explanations, the flow target_to_source,
subclasses of the layers, sparse tensors that learn.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

__all__ = ["Patch", "patch_pyg", "unpatch_pyg"]

LAYERS = (
    "APPNP", "ChebConv", "EdgeConv", "GATConv", "GATv2Conv", "GCNConv", "GINConv", "GINEConv", "RGCNConv",
    "ResGatedGraphConv", "SAGEConv", "SGConv",
)  # fmt: skip
FLOATS = (torch.float32, torch.float64)
SMALL = 1 << 14  # numbers below which sorting an index costs more than a faster sum wins

_undo: list[Callable[[], None]] = []  # the patch, taken back from its end


class Patch:
    """What `patch_pyg` gives: a context that takes the patch back at its end, unless it was there before."""

    def __init__(self, outer: bool) -> None:
        self._outer = outer

    def __enter__(self) -> Patch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._outer:
            unpatch_pyg()


def patch_pyg() -> Patch:
    """Make torch_geometric compute with moiety's kernels from now on, in this process.

    ``with patch_pyg(): ...`` ends it after the block, `unpatch_pyg` at any time. A second call changes nothing.
    """
    outer = bool(_undo)
    if not outer:
        from moiety import nn

        try:
            layers, utils = (import_module(f"torch_geometric.{name}") for name in ("nn", "utils"))
        except ImportError as error:
            raise ImportError(f"patch_pyg needs torch_geometric, which cannot be imported ({error})") from None
        for name in LAYERS:
            theirs, ours = getattr(layers, name), getattr(nn, name)
            _set(theirs, "forward", _layer(theirs, theirs.forward, ours.forward))
        _set(layers.GATConv, "attention", "softmax")  # an option of ours alone
        _replace(utils.spmm, _spmm(utils.spmm))
        _replace(utils.scatter, _scatter(utils.scatter))
    return Patch(outer)


def unpatch_pyg() -> None:
    """Give torch_geometric its own code back."""
    while _undo:
        _undo.pop()()


def _set(owner: Any, name: str, value: Any) -> None:
    own = vars(owner)
    if name in own:
        before = own[name]
        _undo.append(lambda: setattr(owner, name, before))
    else:
        _undo.append(lambda: delattr(owner, name))
    setattr(owner, name, value)


def _replace(before: Callable[..., Any], after: Callable[..., Any]) -> None:
    """In every module of torch_geometric that has imported it by name; and back in all that have done so since."""
    _exchange(before, after)
    _undo.append(lambda: _exchange(after, before))


def _exchange(before: Callable[..., Any], after: Callable[..., Any]) -> None:
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "torch_geometric":
            for key in [key for key, value in vars(module).items() if value is before]:
                setattr(module, key, after)


def _layer(theirs: type, original: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    name = theirs.__name__

    def forward(self: Any, x: Any, edge_index: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self) is theirs and _fits(self, name, x, edge_index, args, kwargs):
            return ours(self, x, edge_index, *args, **kwargs)
        return original(self, x, edge_index, *args, **kwargs)

    forward.__doc__, forward.__wrapped__ = original.__doc__, original  # type: ignore[attr-defined]
    return forward


def _fits(layer: Any, name: str, x: Any, edge_index: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether our layer of this name computes what PyG's would, and returns it in the same order."""
    if type(edge_index) is not Tensor or edge_index.layout is not torch.strided or edge_index.device.type != "cpu":
        return False
    features = x if isinstance(x, (tuple, list)) else (x,)
    dense = [value for value in features if value is not None]
    if not dense or any(not isinstance(v, Tensor) or v.ndim != 2 or not _plain(v) for v in dense):
        return False
    if layer.flow != "source_to_target" or layer.explain or layer.decomposed_layers > 1 or _hooked(layer):
        return False
    if any(isinstance(p, torch.nn.UninitializedParameter) for p in layer.parameters()):
        return False
    aggr = getattr(layer, "aggr", "sum")
    if aggr not in ("sum", "add", "mean", "max", "min") or (
        aggr not in ("sum", "add") and name not in ("SAGEConv", "EdgeConv", "RGCNConv")
    ):
        return False
    if name == "GCNConv" and layer.improved and (args[0] if args else kwargs.get("edge_weight")) is None:
        return False  # PyG forgets the option there
    returns = (*args, *kwargs.values())[-1] if name in ("GATConv", "GATv2Conv") and (args or kwargs) else None
    return not isinstance(returns, bool)  # coefficients in PyG's order of edges


def _hooked(layer: Any) -> bool:
    return any(
        getattr(layer, f"_{point}_forward_{kind}", None)
        for point in ("propagate", "message", "aggregate", "message_and_aggregate", "edge_update")
        for kind in ("pre_hooks", "hooks")
    )


def _plain(value: Tensor) -> bool:
    return value.device.type == "cpu" and value.dtype in FLOATS and not torch.compiler.is_compiling()


def _spmm(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    from moiety.nn.graph.convolution import reduce_of
    from moiety.nn.graph.structure import as_graph
    from moiety.ops import spmm as product

    def spmm(src: Any, other: Tensor, reduce: str = "sum") -> Tensor:
        if (
            type(src) is Tensor
            and (src.layout in (torch.sparse_csr, torch.sparse_csc) or (src.is_sparse and src.is_coalesced()))
            and src.device.type == "cpu"
            and not src.requires_grad
            and src.dtype is other.dtype
            and other.ndim == 2
            and _plain(other)
            and reduce in ("sum", "add", "mean", "max", "min")
        ):
            graph = as_graph(src, other.shape[0], None)
            y: Tensor = product(graph, other, reduce=reduce_of(reduce))
            return y
        return original(src, other, reduce)

    spmm.__doc__ = original.__doc__
    return spmm


def _scatter(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    from moiety.nn.graph.convolution import reduce_of
    from moiety.nn.graph.structure import by_index
    from moiety.ops import spmm as product

    def scatter(src: Tensor, index: Tensor, dim: int = 0, dim_size: int | None = None, reduce: str = "sum") -> Tensor:
        if (
            type(src) is Tensor
            and _plain(src)
            and src.numel() >= SMALL
            and type(index) is Tensor
            and index.ndim == 1
            and dim in (0, -src.ndim)
            and len(index) == len(src)
            and reduce in ("sum", "add", "mean", "max", "min")
        ):
            size = dim_size if dim_size is not None else int(index.max()) + 1 if len(index) else 0
            y: Tensor = product(by_index(index, size), src, reduce=reduce_of(reduce))
            return y
        return original(src, index, dim, dim_size, reduce)

    scatter.__doc__ = original.__doc__
    return scatter
