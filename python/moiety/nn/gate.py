"""A searchable operator: named candidates, mixed by trainable weights during a search and one of them after it.

The mixture is PASNet's (DAC 2023, after DARTS): y = sum_k theta_k candidate_k(x) with theta = softmax(alpha / T); in
mode "sample" theta is a Gumbel-softmax sample, one-hot forward and soft backward. ReLU, `X2Act` and the identity, in
whatever mixture and even with weights of their own a channel, are one `moiety.ops.quadratic`, whose coefficients take
theta: the gate's cost and memory are those of a single activation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from moiety.nn.channel_mix import ChannelMix, mixture
from moiety.nn.x2act import X2Act

__all__ = ["Gate"]

Granularity = Literal["layer", "channel"]
Mode = Literal["soft", "sample"]


def _fuses(module: nn.Module) -> bool:
    return isinstance(module, X2Act) or type(module) in (nn.ReLU, nn.Identity)


class Gate(nn.Module):
    """Candidates by name, at least two; `alpha` holds their logits, (K,), or (K, C) with granularity "channel".

    temperature: of the softmax; it may be set at any time, as may `mode`.

    State: `alpha` and the candidates' own (under "candidates.NAME."). A fixed choice is not part of it.
    """

    def __init__(
        self,
        candidates: Mapping[str, nn.Module],
        *,
        channels: int | None = None,
        granularity: Granularity = "layer",
        temperature: float = 1.0,
        mode: Mode = "soft",
    ) -> None:
        super().__init__()
        if len(candidates) < 2:
            raise ValueError(f"a gate needs at least two candidates, got {list(candidates)}")
        if granularity not in ("layer", "channel"):
            raise ValueError(f"granularity must be 'layer' or 'channel', got {granularity!r}")
        if granularity == "channel" and (channels is None or channels < 1):
            raise ValueError(f"granularity 'channel' needs the number of channels, got {channels}")
        self.candidates = nn.ModuleDict(candidates)
        self.names = tuple(candidates)
        self.channels = channels
        self.granularity: Granularity = granularity
        self.temperature = temperature
        self.mode = mode
        shape = (len(self.names),) if granularity == "layer" else (len(self.names), channels or 0)
        self.alpha = nn.Parameter(torch.zeros(shape))
        self._choice: str | list[str] | None = None

    @property
    def temperature(self) -> float:
        return self._temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"temperature must be positive, got {value}")
        self._temperature = float(value)

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, value: Mode) -> None:
        if value not in ("soft", "sample"):
            raise ValueError(f"mode must be 'soft' or 'sample', got {value!r}")
        self._mode: Mode = value

    @property
    def choice(self) -> str | list[str] | None:
        """What `choose` fixed: a name, a name a channel, or None."""
        return self._choice

    def choose(self, choice: str | Sequence[str] | None) -> None:
        """Fixes the gate to one candidate, or with granularity "channel" to one a channel; None releases it."""
        names = [] if choice is None else [choice] if isinstance(choice, str) else list(choice)
        per_channel = not (choice is None or isinstance(choice, str))
        if per_channel and (self.granularity != "channel" or len(names) != self.channels):
            expected = f"{self.channels} names" if self.granularity == "channel" else "one name"
            raise ValueError(f"expected {expected}, got {len(names)}")
        unknown = sorted(set(names) - set(self.names))
        if unknown:
            raise ValueError(f"expected candidates among {list(self.names)}, got {unknown}")
        self._choice = choice if choice is None or isinstance(choice, str) else names

    def decided(self) -> str | list[str]:
        """The fixed choice, else the most probable one."""
        if self._choice is not None:
            return self._choice
        best = self.alpha.detach().argmax(0)
        return [self.names[k] for k in best.tolist()] if best.ndim else self.names[int(best)]

    def probabilities(self) -> Tensor:
        """theta, of the shape of `alpha`: softmax(alpha / temperature), or the one-hot of a fixed choice."""
        if self._choice is None:
            return F.softmax(self.alpha / self.temperature, 0)
        return self._one_hot(self._choice)

    def freeze(self) -> nn.Module:
        """The decided candidate; if channels differ, a `ChannelMix` of them. Weights are shared with the gate."""
        decided = self.decided()
        names = [decided] if isinstance(decided, str) else decided
        if len(set(names)) == 1:
            return self.candidates[names[0]]
        return ChannelMix({name: self.candidates[name] for name in self.names if name in names}, names)

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self._choice, str):
            y: Tensor = self.candidates[self._choice](x)
            return y
        if self._choice is not None or (self.mode == "sample" and not self.training):
            decided = self.decided()
            theta = self._one_hot(decided)
            live = {decided} if isinstance(decided, str) else set(decided)
        elif self.mode == "sample":
            theta = F.gumbel_softmax(self.alpha, self.temperature, hard=True, dim=0)
            live = {self.names[k] for k in theta.detach().argmax(0).view(-1).tolist()}
        else:
            theta, live = self.probabilities(), set(self.names)
        return self._mix(x, dict(zip(self.names, theta.unbind(0), strict=True)), live)

    def _mix(self, x: Tensor, theta: Mapping[str, Tensor], live: set[str]) -> Tensor:
        """sum of theta * candidate(x); theta () or (C,) by name. Candidates outside `live` have weight zero."""
        fused = {name: m for name, m in self.candidates.items() if _fuses(m)}
        y = (
            mixture(x, {name: (module, theta[name].view(-1)) for name, module in fused.items()})
            if live & set(fused)
            else None
        )
        for name in self.names:
            if name in live and name not in fused:
                part = self.candidates[name](x)
                weight = theta[name].to(part.dtype)
                part = part * (weight.view(-1, *[1] * (part.ndim - 2)) if weight.ndim else weight)
                y = part if y is None else y + part
        assert y is not None  # some candidate is live
        return y

    def _one_hot(self, choice: str | list[str]) -> Tensor:
        index = torch.tensor(
            self.names.index(choice) if isinstance(choice, str) else [self.names.index(name) for name in choice],
            device=self.alpha.device,
        )
        if self.granularity == "channel" and isinstance(choice, str):
            index = index.expand(self.alpha.shape[1])
        return F.one_hot(index, len(self.names)).movedim(-1, 0).to(self.alpha.dtype)

    def extra_repr(self) -> str:
        parts = [", ".join(self.names), f"granularity={self.granularity}"]
        return ", ".join(parts + ([] if self._choice is None or isinstance(self._choice, list) else [self._choice]))
