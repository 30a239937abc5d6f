"""What is measured: kernels, protocols (each with the operation of the peers' scripts that it answers to), networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["ACTIVATIONS", "KERNELS", "NETWORKS", "PROTOCOLS", "Activation", "Kernel", "Network", "Protocol"]


@dataclass(frozen=True)
class Kernel:
    """A product: matmul (m, k, n) or conv (channels, filters, extent, kernel), same padding, stride 1."""

    key: str
    title: str
    kind: str
    shape: tuple[int, ...]
    tiny: tuple[int, ...]


@dataclass(frozen=True)
class Activation:
    """A quadratic activation, shape (N, C, H, W), coefficients a channel; `hinge` mixes a ReLU in, as a gate does."""

    key: str
    title: str
    shape: tuple[int, int, int, int]
    dtype: str = "float32"
    channels_last: bool = False
    hinge: bool = False
    tiny: tuple[int, int, int, int] = (2, 8, 4, 4)


@dataclass(frozen=True)
class Protocol:
    """Arguments of `private.bench`, those of a quick run, and the peers' name of the operation ("": nobody has it)."""

    key: str
    title: str
    settings: dict[str, Any]
    tiny: dict[str, Any]
    peer: str

    def arguments(self, quick: bool) -> dict[str, Any]:
        return {**self.settings, **(self.tiny if quick else {})}


@dataclass(frozen=True)
class Network:
    """Arguments of `networks.resnet18`, and the comparison protocols to run it with."""

    key: str
    title: str
    arguments: dict[str, Any]
    comparisons: tuple[str, ...]
    repeat: int
    tiny: dict[str, Any] = field(default_factory=lambda: {"width": 4, "size": 32, "depth": 1})


KERNELS = [
    Kernel("gemm512", "GEMM 512^3", "matmul", (512, 512, 512), (32, 32, 32)),
    Kernel("gemv4096x1000", "GEMM 1x4096x1000", "matmul", (1, 4096, 1000), (1, 64, 32)),
    Kernel("conv64", "conv 64->64 3x3, 56x56", "conv", (64, 64, 56, 3), (8, 8, 8, 3)),
    Kernel("conv512", "conv 512->512 3x3, 4x4", "conv", (512, 512, 4, 3), (16, 16, 4, 3)),
]

ACTIVATIONS = [
    Activation("x2-22", "x^2, 2^22 elements", (64, 64, 32, 32)),
    Activation("x2-22-last", "x^2, 2^22 elements, channels last", (64, 64, 32, 32), channels_last=True),
    Activation("x2-22-bf16", "x^2, 2^22 elements, bfloat16, channels last", (64, 64, 32, 32), "bfloat16", True),
    Activation(
        "gate-22",
        "gate of ReLU, x^2 and identity, 2^22 elements, channels last",
        (64, 64, 32, 32),
        "float32",
        True,
        True,
    ),
]


def _relu(log: int, bits: int, comparison: str = "circuit") -> Protocol:
    name = "DCF" if comparison == "dcf" else "circuit"
    settings = {"name": "relu", "n": 1 << log, "bits": bits, "comparison": comparison}
    return Protocol(
        f"relu{log}-{comparison}{bits}", f"ReLU 2^{log}, {name}, k = {bits}", settings, {"n": 256}, f"relu{log}"
    )


PROTOCOLS = [
    *(_relu(log, *how) for log in (16, 20) for how in ((64,), (24,), (32, "dcf"))),
    Protocol("mul20", "multiply 2^20, exact truncation", {"name": "mul", "n": 1 << 20}, {"n": 256}, "mul20"),
    Protocol("square20", "square 2^20, exact truncation", {"name": "square", "n": 1 << 20}, {"n": 256}, ""),
    Protocol("truncate20", "exact truncation 2^20", {"name": "truncate", "n": 1 << 20}, {"n": 256}, ""),
    Protocol("matmul512", "matmul 512^3", {"name": "matmul"}, {"shape": (16, 16, 16)}, "matmul512"),
    Protocol(
        "matvec4096x1000",
        "matmul 1x4096x1000",
        {"name": "matmul", "shape": (1, 4096, 1000)},
        {"shape": (1, 64, 32)},
        "matvec4096x1000",
    ),
    Protocol("conv64", "conv 64->64 3x3, 56x56", {"name": "conv"}, {"shape": (4, 4, 8, 3)}, "conv64"),
    Protocol(
        "maxpool-circuit24",
        "max pooling 2x2, 64x56x56, circuit, k = 24",
        {"name": "maxpool", "bits": 24},
        {"shape": (4, 8, 2, 2)},
        "maxpool64x56",
    ),
    Protocol(
        "maxpool-dcf24",
        "max pooling 2x2, 64x56x56, DCF, k = 24",
        {"name": "maxpool", "bits": 24, "comparison": "dcf"},
        {"shape": (4, 8, 2, 2)},
        "maxpool64x56",
    ),
]

NETWORKS = [
    Network(
        "resnet18-cifar",
        "ResNet-18, CIFAR shape",
        {"stem": "cifar", "activation": "relu", "size": 32, "classes": 10},
        ("circuit", "dcf"),
        5,
    ),
    Network(
        "resnet18-imagenet-x2",
        "ResNet-18, ImageNet shape, all x^2, average-pool stem 2x2",
        {"stem": "average", "activation": "x2", "size": 224, "classes": 1000},
        ("circuit",),
        7,
    ),
    Network(
        "resnet18-imagenet-relu",
        "ResNet-18, ImageNet shape, all ReLU",
        {"stem": "imagenet", "activation": "relu", "size": 224, "classes": 1000},
        ("circuit",),
        2,
    ),
]
