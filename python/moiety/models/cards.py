"""What a registered network is and what it costs, counted on the network itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from moiety.models.registry import create_model, find_model
from moiety.nn import X2Act

__all__ = ["Counts", "ModelCard", "count", "model_card"]

LINEAR = (nn.Conv2d, nn.Linear)
COMPARED = (nn.ReLU, nn.ReLU6)
POOLED = (nn.MaxPool2d, nn.AvgPool2d)


@dataclass(frozen=True)
class Counts:
    """Of one sample."""

    parameters: int
    macs: int  # multiplications of convolutions and fully connected layers
    layers: int  # of these
    layer_inputs: int  # elements that enter them, each layer's by itself
    activations: int  # modules: ReLU, ReLU6, X2Act
    activation_elements: int  # elements that enter these
    relu_elements: int  # those of them that are compared
    pools: int  # modules: maximum or average over a window


@dataclass(frozen=True)
class ModelCard:
    name: str
    paper: str
    summary: str
    image_size: int
    counts: Counts


def count(model: nn.Module, shape: tuple[int, int, int]) -> Counts:
    """Runs one sample of the given (channels, height, width) and counts; on the device of the model, "meta" included.

    The model's mode is kept; nothing of its state changes.
    """
    sums = dict.fromkeys(("macs", "layers", "layer_inputs", "activations", "activation_elements", "relu_elements"), 0)
    sums["pools"] = 0

    def layer(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, LINEAR)
        sums["layers"] += 1
        sums["layer_inputs"] += inputs[0].numel()
        sums["macs"] += output.numel() * module.weight[0].numel()

    def activation(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        sums["activations"] += 1
        sums["activation_elements"] += output.numel()
        sums["relu_elements"] += output.numel() if isinstance(module, COMPARED) else 0

    def pool(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        sums["pools"] += 1

    hooks: tuple[tuple[tuple[type[nn.Module], ...], Callable[..., None]], ...] = (
        (LINEAR, layer),
        ((*COMPARED, X2Act), activation),
        (POOLED, pool),
    )
    handles = [
        module.register_forward_hook(hook)
        for module in model.modules()
        for kinds, hook in hooks
        if isinstance(module, kinds)
    ]
    modes = [(module, module.training) for module in model.modules()]
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(1, *shape, device=device))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    return Counts(parameters=sum(p.numel() for p in model.parameters()), **sums)


def model_card(name: str, **options: Any) -> ModelCard:
    """The card of ``create_model(name, **options)``, for images of its `image_size`; no memory is taken for weights."""
    entry = find_model(name)
    size = options.get("image_size", entry.options().get("image_size", inspect.Parameter.empty))
    if not isinstance(size, int):
        raise ValueError(f"model {name!r} has no image_size: count it with moiety.models.cards.count and a shape")
    with torch.device("meta"):
        model = create_model(name, **options)
    return ModelCard(name, entry.paper, entry.summary, size, count(model, (3, size, size)))
