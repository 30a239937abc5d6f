"""The gradient of the architecture: PASNet's Algorithm 1, second order, and its first-order short cut.

    min_alpha  L_val(w*(alpha), alpha),   w*(alpha) = argmin_w L_train(w, alpha),   L = L_CE + L_latency(alpha)

after DARTS (H. Liu et al., ICLR 2019). Second order replaces w* by one descent step, w' = w - xi dL_train/dw, whence
dL/dalpha = dL_val(w', alpha)/dalpha - xi d2L_train/(dalpha dw) . dL_val(w', alpha)/dw'; the product with the mixed
Hessian is a central difference of dL_train/dalpha at w +- epsilon dL_val/dw'. First order sets xi = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

__all__ = ["alpha_gradient", "latency_loss"]

Loss = Callable[[], Tensor]


def latency_loss(seconds: Tensor, target: float | None, weight: float) -> Tensor:
    """weight * relu(seconds / target - 1) with a target, which is met or not; without, the paper's lambda * seconds."""
    if target is None:
        return weight * seconds
    return weight * torch.relu(seconds / target - 1)


def alpha_gradient(
    alphas: Sequence[nn.Parameter],
    weights: Sequence[nn.Parameter],
    train_loss: Loss,
    valid_loss: Loss,
    *,
    order: int,
    rate: float,
) -> list[Tensor]:
    """d valid_loss / d alpha, of order 1 or 2.

    train_loss, valid_loss: evaluate the supernet on a fixed batch as it is when called; terms of alpha alone (latency)
    belong in `valid_loss`, from `train_loss` they cancel. rate: xi, the weights' learning rate. Weights are as before
    afterwards.
    """
    if order not in (1, 2):
        raise ValueError(f"expected order 1 or 2, found {order}")
    if order == 1:
        return _gradients(valid_loss(), alphas)
    saved = [w.detach().clone() for w in weights]
    step = _gradients(train_loss(), weights)
    _shift(weights, saved, step, -rate)  # w'
    at_step = _gradients(valid_loss(), [*alphas, *weights])
    direct, towards = at_step[: len(alphas)], at_step[len(alphas) :]
    norm = torch.sqrt(sum(((g.double() ** 2).sum() for g in towards), torch.zeros((), dtype=torch.float64)))
    epsilon = 0.01 / max(float(norm), 1e-12)  # DARTS' choice
    _shift(weights, saved, towards, epsilon)
    above = _gradients(train_loss(), alphas)
    _shift(weights, saved, towards, -epsilon)
    below = _gradients(train_loss(), alphas)
    _shift(weights, saved, towards, 0.0)
    return [d - rate * (a - b) / (2 * epsilon) for d, a, b in zip(direct, above, below, strict=True)]


def _gradients(loss: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    found = torch.autograd.grad(loss, list(parameters), allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)]


@torch.no_grad()
def _shift(weights: Sequence[nn.Parameter], origin: Sequence[Tensor], direction: Sequence[Tensor], by: float) -> None:
    for w, start, d in zip(weights, origin, direction, strict=True):
        w.copy_(start if by == 0 else start + by * d)
