"""The operators that a network is made of, found by running it on meta tensors: no data, no weights, no arithmetic.

Works for any torch module: what its forward calls in the end are ATen operators, each with its shapes. A quadratic
activation (`moiety.nn.X2Act`) counts as one operator, whatever it is made of.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moiety.private.program import Program

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Layer", "layers_of", "program_layers"]


@dataclass(frozen=True)
class Layer:
    """`kind`: conv (every server-held linear map but a depthwise one), depthwise, relu, x2, multiply, maxpool, avgpool
    or argmax. `inputs` and `outputs` are elements of one sample, `macs` multiply-adds, `source` the module's path."""

    kind: str
    inputs: int
    outputs: int
    macs: int = 0
    source: str = ""


_POINTWISE = {"relu": "relu", "relu_": "relu", "hardtanh": "relu", "hardtanh_": "relu", "clamp": "relu"}
_POOLS = {
    "max_pool2d_with_indices": "maxpool",
    "max_pool3d_with_indices": "maxpool",
    "avg_pool2d": "avgpool",
    "avg_pool3d": "avgpool",
    "_adaptive_avg_pool2d": "avgpool",
    "mean": "avgpool",
}


def _layer(name: str, args: Sequence[Any], out: Any, source: str) -> Layer | None:
    """The layer that one ATen call is, if it is one that costs anything in two-party computation."""
    if name == "convolution":
        x, w, groups = args[0], args[1], args[8]
        depthwise = groups > 1 and groups == x.shape[1]
        per_output = math.prod(w.shape[1:])
        macs = x.numel() * per_output if args[6] else out.numel() * per_output  # args[6]: transposed
        return Layer("depthwise" if depthwise else "conv", x.numel(), out.numel(), macs, source)
    if name in ("addmm", "mm"):
        x, w = args[-2:]
        return Layer("conv", x.numel(), out.numel(), x.numel() * w.shape[1], source)
    if name in _POINTWISE:
        return Layer("relu", args[0].numel(), out.numel(), 0, source)
    if name in _POOLS:
        out = out[0] if isinstance(out, tuple) else out
        return Layer(_POOLS[name], args[0].numel(), out.numel(), 0, source)
    return None


def layers_of(model: nn.Module, input_shape: Sequence[int]) -> list[Layer]:
    """The operators of `model` in the order in which they run on one input of `input_shape` (without the batch).

    The model is copied to the meta device: nothing is computed and the model itself is left alone.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from moiety.nn import X2Act

    found: list[Layer] = []
    paths: list[str] = []
    inside = 0

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            layer = _layer(func._schema.name.removeprefix("aten::"), args, out, paths[-1] if paths else "")
            if layer is not None and not inside:
                found.append(layer)
            return out

    def enter(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any) -> None:
            nonlocal inside
            paths.append(path)
            if isinstance(module, X2Act):
                found.append(Layer("x2", args[0].numel(), args[0].numel(), 0, path))
                inside += 1

        return hook

    def leave(module: nn.Module, args: Any, out: Any) -> None:
        nonlocal inside
        paths.pop()
        inside -= isinstance(module, X2Act)

    meta = copy.deepcopy(model).to("meta").eval()
    for path, module in meta.named_modules():
        module.register_forward_pre_hook(enter(path))
        module.register_forward_hook(leave)
    with torch.no_grad(), Recorder():  # type: ignore[no-untyped-call]
        meta(torch.empty(1, *input_shape, device="meta"))
    return found


def program_layers(program: Program) -> list[Layer]:
    """The same of a compiled program; what is local in two-party computation is left out."""
    kinds = {
        "relu": "relu",
        "hardtanh": "relu",
        "piecewise": "relu",
        "maxpool": "maxpool",
        "sumpool": "avgpool",
        "x2": "x2",
        "square": "x2",
        "multiply": "multiply",
        "argmax": "argmax",
    }
    found = []
    for op in program.ops:
        if op.kind != "linear" and op.kind not in kinds:
            continue
        x, y = program.tensors[op.inputs[0]], program.tensors[op.output]
        if op.kind == "linear":
            conv = op.attrs["conv"]
            groups = conv["groups"]
            taps = math.prod(conv["kernel"])
            if conv["transposed"]:
                macs = x.size * taps * conv["out_channels"] // groups
            else:
                macs = y.size * taps * conv["in_channels"] // groups
            kind = "depthwise" if groups > 1 and groups == conv["in_channels"] else "conv"
            found.append(Layer(kind, x.size, y.size, macs, op.source))
        else:
            found.append(Layer(kinds[op.kind], x.size, y.size, 0, op.source))
    return found
