"""What the model files share: activations and poolings by name, initial weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from torch import nn

from moiety.nn import X2Act

__all__ = ["Activation", "Pool", "initialise", "is_small", "make_activation", "make_pool"]

ActivationName = Literal["relu", "relu6", "x2", "identity"]
Activation = ActivationName | Callable[[int], nn.Module]
Pool = Literal["max", "avg"]

# Up to here the first convolution keeps the resolution and nothing pools behind it, as the literature does it for CIFAR
# (32) and Tiny ImageNet (64).
SMALL = 64


def make_activation(activation: Activation, channels: int) -> nn.Module:
    """A new module for a feature map of so many channels."""
    if callable(activation):
        return activation(channels)
    if activation == "relu":
        return nn.ReLU()
    if activation == "relu6":
        return nn.ReLU6()
    if activation == "x2":
        return X2Act(channels)
    if activation == "identity":
        return nn.Identity()
    names = ", ".join(repr(name) for name in get_args(ActivationName))
    raise ValueError(f"activation must be {names} or a function of the number of channels, got {activation!r}")


def make_pool(pool: Pool, kernel_size: int, stride: int, padding: int = 0) -> nn.Module:
    """A new module. An average counts the zeros of its padding, as two parties do it cheapest: one public division."""
    if pool == "max":
        return nn.MaxPool2d(kernel_size, stride, padding)
    if pool == "avg":
        return nn.AvgPool2d(kernel_size, stride, padding)
    raise ValueError(f"pool must be 'max' or 'avg', got {pool!r}")


def is_small(image_size: int, least: int) -> bool:
    """Does an image of this side take the form for small images? least: the side below which nothing is left of it."""
    if image_size < least:
        raise ValueError(f"image_size must be at least {least}, got {image_size}")
    return image_size <= SMALL


def initialise(model: nn.Module) -> None:
    """He's normal initialisation of convolutions by fan-out; small normal weights of the classifiers."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)
