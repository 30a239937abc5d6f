"""Layers that two parties can evaluate cheaply."""

from moiety.nn.x2act import X2Act

__all__ = ["X2Act"]
