"""Layers that two parties can evaluate cheaply, and the gates that search among them."""

from moiety.nn.channel_mix import ChannelMix
from moiety.nn.gate import Gate
from moiety.nn.hadamard import Hadamard
from moiety.nn.initialise import initialise_x2
from moiety.nn.watch import DivergenceError, RangeWatch, clip_slopes
from moiety.nn.x2act import X2Act, fit_quadratic

__all__ = [
    "ChannelMix",
    "DivergenceError",
    "Gate",
    "Hadamard",
    "RangeWatch",
    "X2Act",
    "clip_slopes",
    "fit_quadratic",
    "initialise_x2",
]
