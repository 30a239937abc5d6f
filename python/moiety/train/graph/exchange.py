"""Features of other parts' nodes, fetched by one collective forward and one backward, and counted.

`Exchange` moves rows between the processes of a group along a `HaloPlan`: owners to readers forward, gradients readers
to owners backward. It uses ``all_to_all_single``, which gloo and NCCL both have, and never waits before it must.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from moiety.train.graph.plan import HaloPlan

__all__ = ["Counters", "Exchange", "Pending", "sum_gradients"]


@dataclass
class Counters:
    """What this process has sent and waited for since the start, or since `clear`.

    - ``bytes_forward``, ``bytes_backward``: feature and gradient rows sent to other processes.
    - ``bytes_tags``: version tags, where they are sent.
    - ``bytes_parameters``: bytes of parameters' gradients summed over processes (the payload of the all-reduce).
    - ``exchanges``: collectives or messages begun; ``supersteps``: collectives whose rows were waited for in the step
      that sent them, each a barrier between the processes.
    - ``by_layer``: bytes of rows by direction, "forward" or "backward", and by l, for h(l) or its gradients.
    """

    bytes_forward: int = 0
    bytes_backward: int = 0
    bytes_tags: int = 0
    bytes_parameters: int = 0
    exchanges: int = 0
    supersteps: int = 0
    by_layer: dict[tuple[str, int], int] = field(default_factory=dict)

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]


@dataclass
class Pending:
    """Rows that are on their way, and the versions (step, layer) that their senders gave them."""

    rows: Tensor
    step: int
    work: Sequence[Any] = ()
    tags: Tensor | None = None
    waited: bool = False

    def wait(self) -> Tensor:
        if not self.waited:
            for work in self.work:
                work.wait()
            self.waited = True
        return self.rows

    def versions(self) -> list[tuple[int, int]]:
        """(step, layer) as every sender of at least one row says; [] without tags."""
        self.wait()
        return [] if self.tags is None else [(int(s), int(layer)) for s, layer in self.tags.tolist() if s >= 0]


def sum_gradients(parameters: Sequence[Tensor], group: dist.ProcessGroup | None = None, scale: float = 1.0) -> int:
    """Every parameter's gradient becomes `scale` times the sum over the processes, in one all-reduce; its bytes.

    A parameter without a gradient counts as one of zeros, so that all processes reduce the same.
    """
    if not parameters:
        return 0
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
    dist.all_reduce(flat, group=group)
    for p, g in zip(parameters, torch.split(flat * scale, [p.numel() for p in parameters]), strict=True):
        p.grad = g.view_as(p).clone()
    return flat.numel() * flat.element_size()


class Exchange:
    """The halo of one part over a process group whose ranks are the parts. `tagged`: versions travel with the rows."""

    def __init__(
        self, plan: HaloPlan, group: dist.ProcessGroup | None, counters: Counters, tagged: bool = False
    ) -> None:
        size = dist.get_world_size(group) if dist.is_initialized() else 1
        rank = dist.get_rank(group) if dist.is_initialized() else 0
        if size != plan.parts or rank != plan.rank:
            raise ValueError(
                f"exchange: expected one process a part, this one as rank {plan.rank} of {plan.parts}; it is rank "
                f"{rank} of {size}: start with torchrun --nproc-per-node {plan.parts}"
            )
        self.plan, self.group, self.counters, self.tagged = plan, group, counters, tagged

    def forward(self, own: Tensor, step: int, layer: int) -> Pending:
        """Own rows (own, F) to those who read them; the halo's rows (halo, F) will come."""
        plan = self.plan
        pending = self._send(own[plan.send_index], plan.send_counts, plan.receive_counts, step, layer)
        self._count("forward", layer, plan.rows_sent * own[0:1].numel() * own.element_size())
        return pending

    def backward(self, gradient: Tensor, step: int, layer: int) -> Pending:
        """Gradients of the halo (halo, F) to its owners; those of the rows that were sent will come."""
        plan = self.plan
        pending = self._send(gradient.contiguous(), plan.receive_counts, plan.send_counts, step, layer)
        width = gradient.numel() // max(1, gradient.shape[0])
        self._count("backward", layer, plan.rows_received * width * gradient.element_size())
        return pending

    def to_own(self, rows: Tensor) -> Tensor:
        """Rows of `send_index`'s order added up into (own, F)."""
        total = rows.new_zeros(self.plan.own.numel(), *rows.shape[1:])
        return total.index_add_(0, self.plan.send_index.to(rows.device), rows)

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace every parameter's gradient by the sum over the processes, in one all-reduce."""
        if self.plan.parts > 1:
            self.counters.bytes_parameters += sum_gradients(parameters, self.group)

    def _send(self, rows: Tensor, sends: Sequence[int], receives: Sequence[int], step: int, layer: int) -> Pending:
        self.counters.exchanges += 1
        received = rows.new_empty(sum(receives), *rows.shape[1:])
        if self.plan.parts == 1:
            return Pending(received, step)
        work = [dist.all_to_all_single(received, rows, list(receives), list(sends), group=self.group, async_op=True)]
        tags = None
        if self.tagged:
            sent = torch.tensor([[step, layer] if count else [-1, -1] for count in sends], device=rows.device)
            tags = torch.empty_like(sent)
            work.append(dist.all_to_all_single(tags, sent, group=self.group, async_op=True))
            self.counters.bytes_tags += 2 * 8 * sum(count > 0 for count in sends)
        return Pending(received, step, work, tags)

    def _count(self, direction: str, layer: int, size: int) -> None:
        name = f"bytes_{direction}"
        setattr(self.counters, name, getattr(self.counters, name) + size)
        self.counters.by_layer[direction, layer] = self.counters.by_layer.get((direction, layer), 0) + size
