"""Range control of quadratic activations in training.

A square feeds a square: an input that escapes grows doubly exponentially with depth, and a fixed-point program has a
range that it must not leave. Three means: a penalty on inputs beyond a bound, slopes kept small, and an error that
names the layer as soon as an input leaves what the program will be certified for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import TracebackType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from moiety.nn.channel_mix import ChannelMix
from moiety.nn.gate import Gate
from moiety.nn.x2act import X2Act

__all__ = ["DivergenceError", "RangeWatch", "clip_slopes"]


class DivergenceError(FloatingPointError):
    """An input of a quadratic activation left the certified range: which layer, how far, which bound, what to do."""


class RangeWatch:
    """Watches the inputs of every quadratic activation of a model, those inside gates too, while it is entered.

    bound: B of the boundary loss; inputs are meant to stay in [-B, B].
    margin_bits: as in `moiety.private.compile`, whose certificate allows 2^margin_bits times the measured maximum:
    beyond 2^margin_bits * B `check` raises.

        with RangeWatch(model, 10.0) as watch:
            loss = criterion(model(x), y) + 0.1 * watch.penalty()
            watch.check()
    """

    def __init__(self, model: nn.Module, bound: float, *, margin_bits: int = 2) -> None:
        if not (math.isfinite(bound) and bound > 0):
            raise ValueError(f"bound must be positive, got {bound}")
        self.bound = float(bound)
        self.limit = 2.0**margin_bits * self.bound
        self._model = model
        self._modules = dict(_quadratic_modules(model))
        self._handles: list[RemovableHandle] = []
        self._excess: dict[str, Tensor] = {}
        self._peaks: dict[str, Tensor] = {}

    def __enter__(self) -> RangeWatch:
        self._handles = [self._model.register_forward_pre_hook(self._begin)]
        for path, module in self._modules.items():
            self._handles.append(
                module.register_forward_pre_hook(lambda m, inputs, path=path: self._observe(path, m, inputs[0]))
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def penalty(self) -> Tensor:
        """The boundary loss of the last forward in training mode, a float32 scalar, zero if nothing was out of bounds.

        The mean over images of log(1 + sum(relu(|x| - B))), added up over the activations. The sum is over an image's
        elements, so that a single one counts; the logarithm, because an escaping input grows doubly exponentially.
        """
        if not self._excess:
            return torch.zeros(())
        return torch.stack(list(self._excess.values())).sum()

    def peaks(self) -> dict[str, float]:
        """Path of each activation (or its gate) -> largest |input| of the last forward."""
        return {path: float(peak) for path, peak in self._peaks.items()}

    def check(self) -> None:
        """Raises `DivergenceError` if the last forward left the certified range, at the first layer that did."""
        for path, peak in self.peaks().items():
            if not peak <= self.limit:  # NaN included
                raise DivergenceError(
                    f"{path}: an input of magnitude {peak:.4g} leaves the certified range of +-{self.limit:.4g} "
                    f"(boundary {self.bound:.4g} with its margin): lower the learning rate, raise the weight of the "
                    "boundary loss, clip the slopes (moiety.nn.clip_slopes), or put a batch normalisation in front"
                )

    def static_bounds(self, measured: Mapping[str, float]) -> dict[str, float]:
        """What `moiety.private.calibrate` measured, with B for every quadratic activation in place of its own maxima.

        For `moiety.private.compile`: a program made with these bounds computes every activation right on whatever
        input `check` lets pass, and does not depend on how large the inputs happen to be on the calibration data.
        Gates may have been frozen meanwhile, at the same paths.
        """
        watched = [p for p, m in self._modules.items() if not isinstance(m, Gate) or _quadratic_is_live(m)]
        rest = {path: value for path, value in measured.items() if path not in watched}
        return rest | {f"{path}:input": self.bound for path in watched}

    def _begin(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._excess, self._peaks = {}, {}

    def _observe(self, path: str, module: nn.Module, x: Tensor) -> None:
        if isinstance(module, Gate) and not _quadratic_is_live(module):
            return
        low, high = torch.aminmax(x.detach())
        peak = torch.maximum(-low, high)
        self._peaks[path] = torch.maximum(self._peaks[path], peak) if path in self._peaks else peak
        # One read of x where all is well; NaN goes the other way.
        if module.training and not float(peak) <= self.bound:
            excess = cast(Tensor, _Excess.apply(x, self.bound)).log1p().mean()  # type: ignore[no-untyped-call]
            self._excess[path] = self._excess[path] + excess if path in self._excess else excess


class _Excess(torch.autograd.Function):
    """(N,): the sum of relu(|x| - bound) over each image, in float32. Keeps x alone, which its activation keeps."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.float().abs().sub_(bound).relu_().flatten(1).sum(1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        outside = x.abs().gt(ctx.bound)
        return x.sign().mul_(outside).mul_(gradient.view(-1, *[1] * (x.ndim - 1))), None


def _quadratic_is_live(gate: Gate) -> bool:
    names = gate.names if gate.choice is None else [gate.choice] if isinstance(gate.choice, str) else gate.choice
    return any(isinstance(gate.candidates[name], X2Act) for name in names)


def _quadratic_modules(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Paths and modules whose input is squared: activations, or what evaluates them in their place."""
    owned: set[nn.Module] = set()
    found: list[tuple[str, nn.Module]] = []
    for path, module in model.named_modules():  # parents come first
        if isinstance(module, Gate | ChannelMix):
            parts = module.candidates if isinstance(module, Gate) else module.operators
            inner = [m for m in parts.values() if isinstance(m, X2Act)]
            owned.update(inner)
            if inner:
                found.append((path, module))
        elif isinstance(module, X2Act) and module not in owned:
            found.append((path, module))
    return found


@torch.no_grad()
def clip_slopes(model: nn.Module, bound: float, slope: float = 5.0) -> int:
    """Clips the coefficients of every `X2Act` so that |dy/dx| <= slope for |x| <= bound; how many changed.

    The derivative 2 scale w1 x + w2 is extreme at the ends: |w2| <= slope, then |scale w1| <= (slope - |w2|) / (2 B).
    The default leaves the fit of ReLU on a standard normal as it is up to a bound of 11.
    """
    if not (bound > 0 and slope > 0):
        raise ValueError(f"expected a positive bound and slope, got {bound} and {slope}")
    clipped = 0
    for module in model.modules():
        if isinstance(module, X2Act):
            w2 = module.w2.clamp(-slope, slope)
            limit = (slope - w2.abs()) / (2 * bound * module.scale)
            w1 = torch.minimum(torch.maximum(module.w1, -limit), limit)
            clipped += int(((w1 != module.w1) | (w2 != module.w2)).sum())
            module.w1.copy_(w1)
            module.w2.copy_(w2)
    return clipped
