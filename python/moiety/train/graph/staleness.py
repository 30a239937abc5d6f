"""How old what a node reads may be: the six bounds of equation (3) of Besta and Hoefler (arXiv 2205.09702).

    h_i(t, l) = phi( h_i(t - T_phi, l - L_phi),
                     sum over j in N_L(i) of psi(., h_j(t - TL_psi, l - LL_psi))
                   + sum over j in N_R(i) of psi(., h_j(t - TR_psi, l - LR_psi)) )

t counts training steps, l layers; N_L(i) are the in-neighbours of node i in its own part of the graph, N_R(i) those in
other parts. Gradients go back the same ways at the same age (equations (4) and (5)): what h_j(l) is told in step t by a
reader in layer l + L comes from that reader's gradient of step t - T.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from typing import Generic, Literal, TypeVar

__all__ = ["Delayed", "Kind", "Ledger", "Staleness"]

Kind = Literal["self", "local", "remote"]
T = TypeVar("T")


@dataclass(frozen=True)
class Staleness:
    """The bounds: ``layer_*`` are L_phi, L^L_psi and L^R_psi (>= 1), ``step_*`` T_phi, T^L_psi and T^R_psi (>= 0).

    A layer below the first is the first: layer l reads layer max(l - L, 0). A step before the first is the first: the
    first T steps are synchronous or less stale than the bound, so nothing is ever made up.
    """

    layer_self: int = 1
    layer_local: int = 1
    layer_remote: int = 1
    step_self: int = 0
    step_local: int = 0
    step_remote: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, least = getattr(self, field.name), 1 if field.name.startswith("layer") else 0
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"staleness: expected {field.name} to be a whole number >= {least}, got {value!r}")

    @classmethod
    def synchronous(cls) -> Staleness:
        """L = 1, T = 0: the plain network."""
        return cls()

    @classmethod
    def pipegcn(cls) -> Staleness:
        """T^R_psi = 1: PipeGCN (C. Wan et al., ICLR 2022), remote features and gradients of the step before."""
        return cls(step_remote=1)

    @classmethod
    def macro_pipeline(cls) -> Staleness:
        """L^R_psi = 2: the asynchronous macro-pipeline, remote features of the layer before the last."""
        return cls(layer_remote=2)

    def layers(self, kind: Kind) -> int:
        """L of one of the three ways."""
        return {"self": self.layer_self, "local": self.layer_local, "remote": self.layer_remote}[kind]

    def steps(self, kind: Kind) -> int:
        """T of one of the three ways."""
        return {"self": self.step_self, "local": self.step_local, "remote": self.step_remote}[kind]

    def source(self, kind: Kind, layer: int) -> int:
        """The layer whose result `layer` reads (0 is the input of the first)."""
        return max(layer - self.layers(kind), 0)

    def check_width(self, kind: Kind, layer: int, width: int, expected: int) -> None:
        """Refuse a layer that would read features of a width that is not its own."""
        if width != expected:
            read = f"h({self.source(kind, layer)}) of width {width}"
            raise ValueError(
                f"staleness: with layer_{kind}={self.layers(kind)}, layer {layer} would read {read} and expects "
                f"{expected}; give all layers one width, with an encoder before them and a decoder behind"
            )


class Ledger:
    """What versions have been read, by way and layer; refuses a read that is older than its bound.

    Values carry the step and the layer that made them from there to here; nothing is inferred from the bounds.
    """

    def __init__(self, bounds: Staleness) -> None:
        self.bounds = bounds
        self.reads = 0
        self.oldest: dict[tuple[Kind, int], tuple[int, int]] = {}  # (way, layer): largest age in layers, in steps

    def note(self, kind: Kind, layer: int, step: int, made_in_layer: int, made_in_step: int) -> None:
        """`layer` reads in `step` what was made in an earlier layer and step."""
        layers, steps = layer - made_in_layer, step - made_in_step
        if not (1 <= layers <= self.bounds.layers(kind) and 0 <= steps <= self.bounds.steps(kind)):
            raise RuntimeError(
                f"staleness: layer {layer} in step {step} read a {kind} value of layer {made_in_layer} and step "
                f"{made_in_step}; the bounds are {self.bounds.layers(kind)} layers and {self.bounds.steps(kind)} steps"
            )
        self.reads += 1
        before = self.oldest.get((kind, layer), (0, 0))
        self.oldest[kind, layer] = max(before[0], layers), max(before[1], steps)

    def worst(self, kind: Kind) -> tuple[int, int]:
        """The largest age met on one way, in layers and in steps."""
        ages = [age for (way, _), age in self.oldest.items() if way == kind]
        return max((a for a, _ in ages), default=0), max((a for _, a in ages), default=0)


class Delayed(Generic[T]):
    """A queue that gives back what went in `delay` steps ago, or the oldest there is, with the step that it is of."""

    def __init__(self, delay: int) -> None:
        self._kept: deque[tuple[int, T]] = deque(maxlen=delay + 1)

    def put(self, step: int, value: T) -> None:
        self._kept.append((step, value))

    def get(self) -> tuple[int, T]:
        return self._kept[0]

    def ready(self) -> tuple[int, T] | None:
        """What `get` will give once this step's value is in; None when it is that value itself."""
        kept = len(self._kept)
        first = kept - self._kept.maxlen + 1 if self._kept.maxlen is not None and kept == self._kept.maxlen else 0
        return self._kept[first] if first < kept else None
