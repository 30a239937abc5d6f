"""What a gate with channel granularity becomes: another operator for each group of channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from moiety.nn.x2act import X2Act
from moiety.ops.quadratic import quadratic

__all__ = ["ChannelMix"]


def mixture(x: Tensor, operators: Mapping[str, tuple[nn.Module, Tensor]]) -> Tensor:
    """The sum of weight * operator(x) over ReLU, `X2Act` and identity as one fused call; weights are (1,) or (C,)."""
    w1 = w2 = b = next(weight for _, weight in operators.values()).new_zeros(1)
    r: Tensor | None = None
    for module, weight in operators.values():
        if isinstance(module, X2Act):
            c2, c1, c0 = module.coefficients()
            w1, w2, b = w1 + weight * c2, w2 + weight * c1, b + weight * c0
        elif isinstance(module, nn.ReLU):
            r = weight if r is None else r + weight
        else:
            w2 = w2 + weight
    return quadratic(x, w1, w2, b, r)


class ChannelMix(nn.Module):
    """Channel c of (N, C, ...) goes through ``operators[names[c]]``, each ReLU, the identity, or `X2Act`.

    In training one `moiety.ops.quadratic` with a coefficient a channel. Exported for two parties, each group of
    channels is cut out and put back, which is local work, so that a comparison is paid for its own channels only.
    """

    def __init__(self, operators: Mapping[str, nn.Module], names: Sequence[str]) -> None:
        super().__init__()
        if set(names) != set(operators):
            raise ValueError(f"expected the names of {sorted(operators)}, got {sorted(set(names))}")
        for name, module in operators.items():
            if not isinstance(module, X2Act) and type(module) not in (nn.ReLU, nn.Identity):
                raise ValueError(
                    f"{name}: channels can be mixed of ReLU, Identity and X2Act, got {type(module).__name__}: "
                    "choose it for the whole layer or not at all"
                )
            if isinstance(module, X2Act) and module.channels not in (None, len(names)):
                raise ValueError(f"{name}: expected {len(names)} channels, got {module.channels}")
        self.operators = nn.ModuleDict(operators)
        self.names = tuple(names)
        for name in operators:
            mask = torch.tensor([float(n == name) for n in names])
            self.register_buffer(f"mask_{name}", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return self._grouped(x)
        return mixture(x, {name: (module, self.get_buffer(f"mask_{name}")) for name, module in self.operators.items()})

    def _grouped(self, x: Tensor) -> Tensor:
        parts: list[Tensor] = []
        order: list[int] = []  # channel of x at each position of the concatenated parts
        for name, module in self.operators.items():
            chosen = [c for c, n in enumerate(self.names) if n == name]
            part = _take(x, chosen)
            if isinstance(module, X2Act):
                part = quadratic(part, *(v if len(v) == 1 else v[chosen] for v in module.coefficients()))
            else:
                part = module(part)
            parts.append(part)
            order += chosen
        return _take(torch.cat(parts, 1), sorted(range(len(order)), key=order.__getitem__))

    def extra_repr(self) -> str:
        return ", ".join(f"{self.names.count(name)} {name}" for name in self.operators)


def _take(x: Tensor, channels: Sequence[int]) -> Tensor:
    """Those channels, in that order, by slices of neighbours."""
    runs: list[list[int]] = []
    for c in channels:
        if runs and runs[-1][1] == c:
            runs[-1][1] = c + 1
        else:
            runs.append([c, c + 1])
    parts = [x[:, begin:end] for begin, end in runs]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
