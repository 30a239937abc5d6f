"""What the operators on graphs share: the types they take, their refusals, and how tensors reach the core.

Every operator takes the cheapest way there is: in eager mode on the CPU the kernel of the compiled core (csrc/graph),
under a plain autograd function where gradients are asked for; for compilers, exporters and tensors that are not plain,
a registered operator (``torch.ops.moiety.*``), which gets the graph as tensors and looks its indices through each time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from moiety._core import graph as _graph

__all__ = [
    "CudaModuleMissing",
    "address",
    "inner",
    "kernel",
    "needs_gradient",
    "plain",
    "refuse_device",
    "weight_dtype",
]

SUFFIX = {
    torch.float32: "f32",
    torch.float64: "f64",
    torch.bfloat16: "bf16",
    torch.int32: "u32",
    torch.int64: "u64",
}
# type(x) is exact, so that subclasses and functional transforms' wrappers take the registered operators.
_PLAIN = (Tensor, torch.nn.Parameter)


class CudaModuleMissing(RuntimeError):
    """A tensor lies on a GPU and moiety's CUDA module is not installed: nothing is copied to the CPU unasked."""


def refuse_device(name: str, value: Tensor) -> None:
    """Raise the error for a tensor that no kernel of this installation reaches."""
    if value.device.type == "cuda":
        raise CudaModuleMissing(
            f"{name}: got a tensor on {value.device}, and moiety's CUDA module is not installed; "
            "move features, weights and graph to the CPU with .cpu(), which copies them"
        )
    raise ValueError(f"{name}: expected tensors on the CPU, got one on {value.device}")


def plain(*values: Tensor | None) -> bool:
    """Whether kernels may read the memory of all of these here and now."""
    for v in values:
        if v is not None and type(v) not in _PLAIN:
            return False
    return not torch.compiler.is_compiling() and not torch._C._are_functorch_transforms_active()


def needs_gradient(*values: Tensor | None) -> bool:
    """Whether autograd must know of what is done to these."""
    return torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in values)


def kernel(name: str, dtype: torch.dtype) -> Any:
    """The core's function `name` for elements of a dtype."""
    return _KERNELS[name, dtype]


# Looking a function up by an f-string would take as long as calling it.
_KERNELS = {
    (name[: -len(suffix) - 1], dtype): getattr(_graph, name)
    for dtype, suffix in SUFFIX.items()
    for name in dir(_graph)
    if name.endswith("_" + suffix)
}


def address(value: Tensor | None) -> int:
    """0 for None."""
    return 0 if value is None else value.data_ptr()


def weight_dtype(dtype: torch.dtype) -> torch.dtype:
    """Of the weights beside features of `dtype`: bfloat16 saves space in features, of which there are many a weight."""
    return torch.float32 if dtype is torch.bfloat16 else dtype


def inner(x: Tensor) -> int:
    """Features a row."""
    return x.shape[1:].numel()
