"""What two parties agree on before they compute, and the loop that both then walk.

client                          server
hello (terms)            ->                      } both compare field by field, and both refuse the same way
                         <-     hello (terms, epoch)
setup (masks: need/have) ->                      } once a connection
                         <-     masks E = W - A, once a client and weight epoch; else: go on
for every inference:
infer (offer)            ->                      } which correlation: a dealer session, or a serial that neither side
                         <-     session (reply)    has used; both record it durably before they go on
claimed | taken          ->
ready                    <->    ready            } offline ends
protocol steps           <->    protocol steps   } online
                         <-     done (counters)
bye                      ->
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from moiety import ProtocolError
from moiety._core import mpc

from .execute import Inference
from .link import Buffer, Link, printable
from .plan import Plan
from .program import Program
from .stats import Meter

__all__ = ["PROTOCOL", "Engine", "Material", "Progress", "agree", "fields", "material_sizes", "terms"]

PROTOCOL = 1  # of every frame between the parties and with the dealer; changes with any of them

Progress = Callable[[str, int, int], None]  # (phase, done, total)

_LABELS = {
    "protocol": "protocol version",
    "role": "role",
    "program": "program hash",
    "ring": "ring",
    "fraction_bits": "fraction bits",
    "randomness": "source of correlations",
    "comparison": "comparison",
    "batch": "batch",
    "deal": "correlation files of deal",
    "epoch": "weight epoch",
    "plan": "plan hash",
}


class Material(Protocol):
    """One party's correlations for one inference, in the order of the plan's requests."""

    seed: bytes

    def take(self, size: int) -> Buffer:
        """The next `size` bytes."""

    def finish(self) -> dict[str, Any]:
        """All was taken; the counters of whoever made it, if it told them."""


def terms(program: Program, program_hash: str, plan: Plan | None, **others: Any) -> dict[str, Any]:
    """One side's view of what both must agree on."""
    return {
        "protocol": PROTOCOL,
        "program": program_hash,
        "ring": program.ring,
        "fraction_bits": program.fraction_bits,
        "plan": plan.hash if plan is not None else None,
        **others,
    }


def agree(peer: str, expected: Mapping[str, Any], came: Mapping[str, Any]) -> None:
    """Refuse the peer's `came` terms where they differ from `expected`, naming every difference.

    The plan follows from the other terms, so it is named only when it is all that differs.
    """
    wrong = {name: label for name, label in _LABELS.items() if name in expected and expected[name] != came.get(name)}
    if "protocol" in wrong:
        wrong = {"protocol": wrong["protocol"]}
    if len(wrong) > 1:
        wrong.pop("plan", None)
    if wrong:
        found = "; ".join(
            f"{label}: expected {_show(expected[name])}, came {_show(came.get(name))}" for name, label in wrong.items()
        )
        raise ProtocolError(f"{peer} does not fit: {found}")


def _show(value: object) -> str:
    return "nothing" if value is None else printable(str(value), 40)


def fields(message: Mapping[str, Any], peer: str, **kinds: type) -> list[Any]:
    """The named fields of a control frame, each of the type given."""
    values = []
    for name, kind in kinds.items():
        value = message.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ProtocolError(
                f'{peer} sent "{message.get("type")}" with {name} {printable(repr(value), 40)}: expected '
                f"{kind.__name__}"
            )
        values.append(value)
    return values


def material_sizes(plan: Plan, role: str) -> list[int]:
    """Bytes of material that `role` receives for each request of the plan."""
    if role == "server":
        return [request.server_bytes(plan.ring) for request in plan.requests]
    return [request.client_bytes(plan.ring) for request in plan.requests]


class Engine:
    """One party's computation over one connection: offline and online phases of one inference after another."""

    def __init__(
        self,
        role: str,
        program: Program,
        plan: Plan,
        link: Link,
        weights: list[NDArray[Any]],
        threads: int,
        meter: Meter,
    ) -> None:
        self.role = role
        self.program = program
        self.plan = plan
        self.link = link
        self.weights = weights
        self.threads = threads
        self.meter = meter
        self._inference: Inference | None = None

    def offline(self, material: Material, progress: Progress | None = None) -> dict[str, Any]:
        """Expand one inference's correlations. Returns what their maker counted."""
        party = mpc.Party(self.role, self.plan.ring, self.link.channel, self.threads)
        party.load(self.plan.requests, material.seed, self.weights)
        sizes = material_sizes(self.plan, self.role)
        operators = self.meter.phases["offline"].operators
        for index, (request, size) in enumerate(zip(self.plan.requests, sizes, strict=True)):
            start = time.perf_counter()
            party.feed(index, material.take(size) if size else b"")
            entry = operators.setdefault(request.kind, {"calls": 0, "material_bytes": 0, "seconds": 0.0})
            entry["calls"] += 1
            entry["material_bytes"] += size
            entry["seconds"] += time.perf_counter() - start
            if progress is not None:
                progress("offline", index + 1, len(sizes))
        made = material.finish()
        self._inference = Inference(self.program, self.plan, party)
        return made

    def rendezvous(self) -> None:
        """Both sides have their correlations; what follows is online."""
        self.link.meet("ready")

    def online(self, x: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
        """The computation itself; each inference's correlations serve one call."""
        inference, self._inference = self._inference, None
        if inference is None:
            raise RuntimeError("online() without correlations: expected offline() first")
        try:
            output = inference.run(x)
        except ProtocolError as error:
            raise self.link.explain(error) from None
        counted = inference.stats()
        phase = self.meter.phases["online"]
        phase.operators.update(counted["operators"])
        phase.rounds += int(counted["rounds"])
        return output
