"""PASNet-A, B, C and D: the four networks that PASNet publishes for private inference.

H. Peng et al., "PASNet: Polynomial Architecture Search Framework for Two-party Computation-based Secure Neural Network
Deployment", DAC 2023 (arXiv 2306.15513). A, B and D are the corner where every activation is the quadratic x2act
(`X2Act`, a triple of coefficients for each layer, started near the identity) and every pooling an average; C keeps some
ReLU. Backbones, the scale of the quadratic term (0.1 in B and C) and the initialisation are those of the released
evaluation code (github.com/harveyp123/PASNet-DAC2023).

Which layers of C keep ReLU is in its checkpoint alone, which is not to be had. Their number of elements follows from
the published traffic: 652,288 of a 224 x 224 image. `RELU_OF_C` is our choice of that sum: the smallest and last maps,
where ReLU costs least.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from moiety.models.mobilenet_v2 import MobileNetV2, mobilenet_v2
from moiety.models.registry import register_model
from moiety.models.resnet import ResNet, resnet18, resnet50
from moiety.nn import X2Act

__all__ = ["RELU_OF_C", "pasnet_a", "pasnet_b", "pasnet_c", "pasnet_d"]

PAPER = "H. Peng et al., PASNet: Polynomial Architecture Search Framework, DAC 2023"

# Elements at 224 x 224, in units of 25,088: 3 * 2, then 4 + 4 + 1 + 1 + 4 + 1 + 1 + 4 (layer4.0.act2 is left out): 26.
RELU_OF_C = (
    "layer3.4.act2",
    "layer3.5.act1",
    "layer3.5.act2",
    "layer4.0.act1",
    "layer4.0.act3",
    "layer4.1.act1",
    "layer4.1.act2",
    "layer4.1.act3",
    "layer4.2.act1",
    "layer4.2.act2",
    "layer4.2.act3",
)


def x2act(scale: float) -> Callable[[int], nn.Module]:
    """A quadratic of one triple for each layer, whatever its channels."""
    return lambda channels: X2Act(init="stpai", scale=scale)


@register_model("pasnet_a", paper=PAPER)
def pasnet_a(num_classes: int = 1000, image_size: int = 224, width: int = 64) -> ResNet:
    """ResNet-18, all activations quadratic, all poolings averages."""
    return resnet18(num_classes, image_size, x2act(1.0), "avg", width)


@register_model("pasnet_b", paper=PAPER)
def pasnet_b(num_classes: int = 1000, image_size: int = 224, width: int = 64) -> ResNet:
    """ResNet-50, all activations quadratic, all poolings averages."""
    return resnet50(num_classes, image_size, x2act(0.1), "avg", width)


@register_model("pasnet_c", paper=PAPER)
def pasnet_c(num_classes: int = 1000, image_size: int = 224, width: int = 64) -> ResNet:
    """ResNet-50 with ReLU in its last, small layers, quadratic before; all poolings averages."""
    model = pasnet_b(num_classes, image_size, width)
    for path in RELU_OF_C:
        model.set_submodule(path, nn.ReLU())
    return model


@register_model("pasnet_d", paper=PAPER)
def pasnet_d(num_classes: int = 1000, image_size: int = 224, width: float = 1.0) -> MobileNetV2:
    """MobileNetV2, all activations quadratic."""
    return mobilenet_v2(num_classes, image_size, x2act(1.0), width)
