"""The macro-pipeline: layers on different processes, chunks of the graph passing through them.

Every process has some of the layers and computes them for all chunks. A layer's result for a chunk is sent on as soon
as it is there. How far layers can run at the same time is decided by what a chunk reads of other chunks:

- L^R_psi = 1, T^R_psi = 0, synchronous: all chunks of the layer before. Layers follow each other.
- L^R_psi = 2 (Besta and Hoefler, equation (3)): of the layer before that; the chunk's own features alone are of the
  layer before, so a layer starts on a chunk when its predecessor is done with it.
- T^R_psi = 1 (in the manner of GNNPipe, arXiv 2308.10087): of the training step before, for the same reason.

Gradients go back the same ways (equations (4) and (5)). A step is made of tasks, one a layer and chunk in each
direction, which meet autograd nowhere but inside themselves: what they read are leaves, what they make is detached.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from moiety.graph import Graph
from moiety.graph.partitioning import Partition
from moiety.train.graph.exchange import Counters
from moiety.train.graph.plan import HaloPlan
from moiety.train.graph.stages import Stages
from moiety.train.graph.staleness import Delayed, Ledger, Staleness

__all__ = ["MacroPipeline", "Span"]

LossOf = Callable[[Tensor, Tensor], Tensor]
STEPS_IN_FLIGHT = 64  # tags of messages repeat after so many steps; no process is ever two steps ahead


@dataclass(frozen=True)
class Span:
    """A task that ran on this process: seconds of ``time.perf_counter``."""

    direction: str
    layer: int
    chunk: int
    begin: float
    end: float


@dataclass
class _Task:
    """What a layer read and made for a chunk, until its gradient has come."""

    own: Tensor
    halo: Tensor
    made: Tensor


class MacroPipeline:
    """One process's layers of a network over a graph in chunks (the parts of `chunks`).

    The processes of `group` (gloo; one process alone has all layers) share the layers in runs of about equal length, at
    least one each. Bounds other than those of remote features must be synchronous. `step` is a whole training step and
    leaves gradients in the parameters of this process's layers; `owned` are these parameters, and `spans` the tasks of
    the last step.
    """

    def __init__(
        self,
        stages: Stages,
        graph: Graph,
        chunks: Partition,
        bounds: Staleness | None = None,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        stages.check_parts()
        self.stages, self.chunks, self.group = stages, chunks, group
        self.bounds = Staleness() if bounds is None else bounds
        joined = dist.is_initialized()
        self.rank = dist.get_rank(group) if joined else 0
        self.world_size = dist.get_world_size(group) if joined else 1
        b = self.bounds
        if (b.layer_self, b.layer_local, b.step_self, b.step_local) != (1, 1, 0, 0):
            raise ValueError(
                "macro-pipeline: a chunk's own features pass from layer to layer: expected layer_self = layer_local = "
                f"1 and step_self = step_local = 0, got {b}"
            )
        if self.world_size > len(stages):
            raise ValueError(
                f"macro-pipeline: expected at most one process a layer, got {self.world_size} for {len(stages)} layers"
            )
        if joined and self.world_size > 1 and dist.get_backend(group) != "gloo":
            raise ValueError(
                "macro-pipeline: messages are told apart by tags, which gloo has and "
                f"{dist.get_backend(group)} has not: make a gloo group and pass it as group"
            )
        self.layers = [m for m in range(1, len(stages) + 1) if self.owner(m) == self.rank]
        plans = [HaloPlan.build(graph, chunks, c) for c in range(chunks.parts)]
        self.nodes = [p.own for p in plans]
        # Where a chunk finds its halo when all chunks lie one after the other.
        place = torch.empty(graph.num_nodes, dtype=torch.int64)
        place[torch.cat(self.nodes)] = torch.arange(graph.num_nodes)
        self.halo = [place[p.halo] for p in plans]
        self.blocks = {m: [p.block(stages[m].operand(graph)) for p in plans] for m in self.layers}
        self.counters, self.ledger = Counters(), Ledger(self.bounds)
        self.spans: list[Span] = []
        self._step = 0
        self._widths: list[int] | None = None
        self._dtype = torch.float32
        delay = self.bounds.step_remote
        self._old_values: dict[int, Delayed[Tensor]] = {m: Delayed(delay) for m in self.layers}
        self._old_gradients: dict[int, Delayed[Tensor]] = {m: Delayed(delay) for m in self.layers}

    def owner(self, layer: int) -> int:
        """The process that has a layer; layer 0, the encoder, is with the first one, the decoder with the last."""
        return max(layer - 1, 0) * self.world_size // len(self.stages)

    @property
    def owned(self) -> list[nn.Parameter]:
        """The parameters that this process trains."""
        modules: list[nn.Module] = [self.stages[m] for m in self.layers]
        if 1 in self.layers:
            modules.append(self.stages.encoder)
        if len(self.stages) in self.layers:
            modules.append(self.stages.decoder)
        return [p for module in modules for p in module.parameters() if p.requires_grad]

    def step(self, x: Tensor, loss_of: LossOf) -> float:
        """Forward and backward over all chunks; returns the sum of ``loss_of(out (chunk, classes), nodes (chunk,))``.

        x (nodes, in) is read by the first process, `loss_of` is called by the last one, and all learn the sum.
        """
        if self._widths is None:
            self._widths, self._dtype = self.stages.widths(x.shape[1], x.dtype), x.dtype
            for m in range(1, len(self.stages) + 1):
                source = self.bounds.source("remote", m)
                self.bounds.check_width("remote", m, self._widths[source], self._widths[m - 1])
        self.spans.clear()
        step = _Step(self, self._step)
        self._step += 1
        return step.run(x, loss_of)

    def synchronise(self) -> None:
        """Give every process the parameters of all layers as their owners have them."""
        if self.world_size == 1:
            return
        last = len(self.stages)
        pieces = [
            (0, self.stages.encoder),
            *((m, self.stages[m]) for m in range(1, last + 1)),
            (last, self.stages.decoder),
        ]
        for layer, module in pieces:
            for value in [*module.parameters(), *module.buffers()]:
                source = self.owner(layer)
                dist.broadcast(
                    value.data, source if self.group is None else dist.get_global_rank(self.group, source), self.group
                )

    def readers(self, layer: int) -> list[int]:
        """The other processes that read h(layer)."""
        found = {self.owner(layer + 1)} if layer < len(self.stages) else set()
        found |= {self.owner(m) for m in range(1, len(self.stages) + 1) if self.bounds.source("remote", m) == layer}
        return sorted(found - {self.owner(layer)})


class _Step:
    """One training step of a pipeline on this process."""

    def __init__(self, pipeline: MacroPipeline, number: int) -> None:
        self.p, self.number = pipeline, number
        self.values: dict[tuple[int, int], Tensor] = {}  # h(layer) of a chunk, by (layer, chunk)
        self.tasks: dict[tuple[int, int], _Task] = {}
        self.encoded: list[Tensor] = []
        self.gradients: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
        self.sent: list[tuple[Any, Tensor]] = []  # kept until they have arrived

    def run(self, x: Tensor, loss_of: LossOf) -> float:
        p, last = self.p, len(self.p.stages)
        if p.owner(0) == p.rank:
            for chunk, nodes in enumerate(p.nodes):
                h = p.stages.drop(0, p.stages.encoder(x[nodes]))
                self.encoded.append(h)
                self._made(0, chunk, h)
        for layer in p.layers:
            self._forward(layer)
        loss = torch.zeros((), dtype=torch.float64)
        if p.owner(last) == p.rank:
            loss += self._loss(loss_of)
        for layer in reversed(p.layers):
            self._backward(layer)
        if p.owner(0) == p.rank and any(h.requires_grad for h in self.encoded):
            for chunk, h in enumerate(self.encoded):
                gradient = self._gradient(0, chunk)
                _accumulate(h, gradient, [], list(p.stages.encoder.parameters()))
        for work, _ in self.sent:
            work.wait()
        if p.world_size > 1:
            dist.all_reduce(loss, group=p.group)
        return float(loss)

    # --- tasks --------------------------------------------------------------------------------------------------------

    def _forward(self, layer: int) -> None:
        p = self.p
        source, stage = p.bounds.source("remote", layer), p.stages[layer]
        ready = p._old_values[layer].ready()
        version, remote = (self.number, self._whole(source)) if ready is None else ready
        for chunk in range(p.chunks.parts):
            own = self._value(layer - 1, chunk)
            begin = time.perf_counter()
            p.ledger.note("self", layer, self.number, layer - 1, self.number)
            p.ledger.note("local", layer, self.number, layer - 1, self.number)
            p.ledger.note("remote", layer, self.number, source, version)
            own = own.detach().requires_grad_()
            halo = remote[p.halo[chunk]].requires_grad_()
            made = p.stages.drop(layer, stage(torch.cat([own, halo]), own, p.blocks[layer][chunk]))
            self.tasks[layer, chunk] = _Task(own, halo, made)
            self._made(layer, chunk, made)
            p.spans.append(Span("forward", layer, chunk, begin, time.perf_counter()))
        if p.bounds.step_remote:
            p._old_values[layer].put(self.number, self._whole(source))

    def _loss(self, loss_of: LossOf) -> float:
        p, last, total = self.p, len(self.p.stages), 0.0
        for chunk, nodes in enumerate(p.nodes):
            h = self.values[last, chunk].detach().requires_grad_()
            loss = loss_of(p.stages.decoder(h), nodes)
            total += float(loss.detach())
            (gradient,) = _accumulate(loss, None, [h], list(p.stages.decoder.parameters()))
            self.gradients[last, chunk].append(gradient)
        return total

    def _backward(self, layer: int) -> None:
        """Own features' gradients go to the layer before, halos' to the layer that they were read from.

        Both in one message where that is the same one; it waits for all chunks unless the halos' gradients are of a
        step before.
        """
        p, below, source = self.p, layer - 1, self.p.bounds.source("remote", layer)
        ready, parameters = p._old_gradients[layer].ready(), list(p.stages[layer].parameters())
        total: Tensor | None = None
        own: list[Tensor] = []
        for chunk in range(p.chunks.parts):
            gradient = self._gradient(layer, chunk)
            begin = time.perf_counter()
            task = self.tasks.pop((layer, chunk))
            of_own, of_halo = _accumulate(task.made, gradient, [task.own, task.halo], parameters)
            if total is None:
                total = of_own.new_zeros(sum(n.numel() for n in p.nodes), *of_own.shape[1:])
            total.index_add_(0, p.halo[chunk], of_halo)
            own.append(of_own)
            p.spans.append(Span("backward", layer, chunk, begin, time.perf_counter()))
            if source != below:
                self._give(layer, below, chunk, of_own, way=1)
            elif ready is not None:
                self._give(layer, below, chunk, of_own + self._part(ready[1], chunk), way=1)
        assert total is not None
        p._old_gradients[layer].put(self.number, total)
        remote = total if ready is None else ready[1]
        for chunk in range(p.chunks.parts):
            if source != below:
                self._give(layer, source, chunk, self._part(remote, chunk), way=2)
            elif ready is None:
                self._give(layer, below, chunk, own[chunk] + self._part(remote, chunk), way=1)

    # --- values and gradients, from here or from another process ----------------------------------------------------

    def _made(self, layer: int, chunk: int, value: Tensor) -> None:
        self.values[layer, chunk] = value.detach()
        for reader in self.p.readers(layer):
            self._send(value.detach(), reader, self._tag(0, layer, chunk), "forward", layer)

    def _value(self, layer: int, chunk: int) -> Tensor:
        if (layer, chunk) not in self.values:
            self.values[layer, chunk] = self._receive(layer, chunk, self.p.owner(layer), self._tag(0, layer, chunk))
        return self.values[layer, chunk]

    def _whole(self, layer: int) -> Tensor:
        """h(layer) of all chunks, one after the other."""
        return torch.cat([self._value(layer, chunk) for chunk in range(self.p.chunks.parts)])

    def _part(self, whole: Tensor, chunk: int) -> Tensor:
        begin = sum(n.numel() for n in self.p.nodes[:chunk])
        return whole[begin : begin + self.p.nodes[chunk].numel()]

    def _give(self, reader: int, layer: int, chunk: int, gradient: Tensor, way: int) -> None:
        """What layer `reader` says of h(layer): to its owner. Nobody wants that of inputs that need no gradient."""
        if layer == 0 and not self._encoder_learns():
            return
        if self.p.owner(layer) == self.p.rank:
            self.gradients[layer, chunk].append(gradient)
        else:
            self._send(gradient.contiguous(), self.p.owner(layer), self._tag(way, reader, chunk), "backward", layer)

    def _gradient(self, layer: int, chunk: int) -> Tensor:
        """The sum of what all readers of h(layer) say."""
        p, last = self.p, len(self.p.stages)
        for m in range(1, last + 1):
            remote = p.bounds.source("remote", m) == layer
            for way in ([1] if m - 1 == layer else []) + ([2] if remote and m - 1 != layer else []):
                if p.owner(m) != p.rank:
                    self.gradients[layer, chunk].append(
                        self._receive(layer, chunk, p.owner(m), self._tag(way, m, chunk))
                    )
        found = self.gradients.pop((layer, chunk))
        return found[0] if len(found) == 1 else torch.stack(found).sum(0)

    def _encoder_learns(self) -> bool:
        return any(p.requires_grad for p in self.p.stages.encoder.parameters())

    def _tag(self, way: int, layer: int, chunk: int) -> int:
        """0: h(layer); 1 and 2: gradients that `layer` gives."""
        inside = (way * (len(self.p.stages) + 1) + layer) * self.p.chunks.parts + chunk
        return self.number % STEPS_IN_FLIGHT * 3 * (len(self.p.stages) + 1) * self.p.chunks.parts + inside

    def _send(self, value: Tensor, reader: int, tag: int, direction: str, layer: int) -> None:
        p, size = self.p, value.numel() * value.element_size()
        destination = reader if p.group is None else dist.get_global_rank(p.group, reader)
        self.sent.append((dist.isend(value, destination, p.group, tag), value))
        p.counters.exchanges += 1
        name = f"bytes_{direction}"
        setattr(p.counters, name, getattr(p.counters, name) + size)
        p.counters.by_layer[direction, layer] = p.counters.by_layer.get((direction, layer), 0) + size

    def _receive(self, layer: int, chunk: int, owner: int, tag: int) -> Tensor:
        p = self.p
        assert p._widths is not None
        value = torch.empty(p.nodes[chunk].numel(), p._widths[layer], dtype=p._dtype)
        dist.recv(value, owner if p.group is None else dist.get_global_rank(p.group, owner), p.group, tag)
        return value


def _accumulate(
    made: Tensor, gradient: Tensor | None, leaves: list[Tensor], parameters: Sequence[Tensor]
) -> list[Tensor]:
    """Back from `made` to the leaves' gradients; those of the parameters are added to them."""
    learning = [p for p in parameters if p.requires_grad]
    found = torch.autograd.grad(made, [*leaves, *learning], gradient, allow_unused=True)
    for p, g in zip(learning, found[len(leaves) :], strict=True):
        if g is not None:
            p.grad = g.clone() if p.grad is None else p.grad + g
    return [torch.zeros_like(v) if g is None else g for v, g in zip(leaves, found, strict=False)]
