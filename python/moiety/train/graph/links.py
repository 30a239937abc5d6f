"""How a layer's inputs reach it: delayed, or from other processes and delayed; forward and backward alike.

A link carries the features that one layer reads on one of the three ways of equation (3). `begin` is called where the
features are made, `end` where they are read; in between they may travel. Both are recorded by autograd, so that the
gradient begins its way back in `end` and is wanted in `begin`.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor

from moiety.train.graph.exchange import Exchange, Pending
from moiety.train.graph.staleness import Delayed, Kind, Ledger

__all__ = ["Clock", "DelayLink", "Link", "RemoteLink"]


class Clock:
    """The step of training that is under way, -1 outside of any."""

    def __init__(self) -> None:
        self.step = -1


class Link(Protocol):
    """One way into one layer."""

    def begin(self, h: Tensor, made_in: int) -> Tensor:
        """Take h(made_in); returns what `end` wants."""

    def end(self, token: Tensor, made_in: int) -> Tensor:
        """What the layer reads."""


class DelayLink:
    """The features of some steps ago, or of this step when the delay is 0, in which case nothing is done at all."""

    def __init__(self, kind: Kind, layer: int, clock: Clock, ledger: Ledger) -> None:
        self.kind, self.layer, self.clock, self.ledger = kind, layer, clock, ledger
        self.delay = ledger.bounds.steps(kind)
        self.values: Delayed[tuple[int, Tensor]] = Delayed(self.delay)
        self.gradients: Delayed[Tensor] = Delayed(self.delay)

    def begin(self, h: Tensor, made_in: int) -> Tensor:
        return h

    def end(self, token: Tensor, made_in: int) -> Tensor:
        step = self.clock.step
        if step < 0:
            return token
        if self.delay == 0:
            self.ledger.note(self.kind, self.layer, step, made_in, step)
            return token
        return cast(Tensor, _Delay.apply(token, self, made_in))  # type: ignore[no-untyped-call]


class _Delay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, link: DelayLink, made_in: int) -> Tensor:
        ctx.link, ctx.step = link, link.clock.step
        link.values.put(ctx.step, (made_in, h.detach()))
        made_in_step, (made_in_layer, value) = link.values.get()
        link.ledger.note(link.kind, link.layer, ctx.step, made_in_layer, made_in_step)
        return value.detach()  # a tensor of its own: autograd writes on what is returned

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        link: DelayLink = ctx.link
        link.gradients.put(ctx.step, gradient)
        return link.gradients.get()[1], None, None


class RemoteLink:
    """The halo's features, sent by their owners and read `delay` steps later; a delay of 0 is waited for."""

    def __init__(self, layer: int, clock: Clock, ledger: Ledger, exchange: Exchange) -> None:
        self.layer, self.clock, self.ledger, self.exchange = layer, clock, ledger, exchange
        self.delay = ledger.bounds.step_remote
        self.values: Delayed[tuple[int, Pending]] = Delayed(self.delay)
        self.gradients: Delayed[Pending] = Delayed(self.delay)
        self.plain: Pending | None = None  # outside of training

    def begin(self, h: Tensor, made_in: int) -> Tensor:
        return cast(Tensor, _Begin.apply(h, self, made_in))  # type: ignore[no-untyped-call]

    def end(self, token: Tensor, made_in: int) -> Tensor:
        return cast(Tensor, _End.apply(token, self, made_in))  # type: ignore[no-untyped-call]

    def received(self, pending: Pending, step: int) -> Tensor:
        if pending.step == step and not pending.waited:
            self.exchange.counters.supersteps += 1
        return pending.wait()


class _Begin(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, link: RemoteLink, made_in: int) -> Tensor:
        ctx.link, ctx.step = link, link.clock.step
        pending = link.exchange.forward(h, ctx.step, made_in)
        if ctx.step < 0:
            link.plain = pending
        else:
            link.values.put(ctx.step, (made_in, pending))
        # Stands for the rows under way, which `end` returns: of their shape, without their memory.
        return h.new_zeros((1,) * h.ndim).expand_as(pending.rows)

    @staticmethod
    def backward(ctx: Any, standing_for: Tensor) -> tuple[Tensor, None, None]:
        link: RemoteLink = ctx.link
        pending = link.gradients.get()[1]
        return link.exchange.to_own(link.received(pending, ctx.step)), None, None


class _End(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, token: Tensor, link: RemoteLink, made_in: int) -> Tensor:
        ctx.link, ctx.step, ctx.made_in = link, link.clock.step, made_in
        if ctx.step < 0:
            assert link.plain is not None
            return link.received(link.plain, -1)
        made_in_step, (made_in_layer, pending) = link.values.get()
        rows = link.received(pending, ctx.step)
        for step, layer in pending.versions() or [(made_in_step, made_in_layer)]:
            link.ledger.note("remote", link.layer, ctx.step, layer, step)
        return rows.detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        link: RemoteLink = ctx.link
        link.gradients.put(ctx.step, link.exchange.backward(gradient, ctx.step, ctx.made_in))
        return gradient, None, None
