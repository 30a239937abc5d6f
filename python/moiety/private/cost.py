"""What a program will cost, without running it: the face of `moiety.cost` that the parties and the commands use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .program import Program
from .transport import Network

__all__ = ["Estimate", "choose", "estimate"]


@dataclass(frozen=True)
class Estimate:
    """Online rounds and bytes (frame headers included) are exact; `material_bytes` is what the dealer streams to both
    parties (headers of its frames included); `seconds` is the modelled online time on the given network;
    `comparison` spells the protocol of each layer (`moiety.private.plan`)."""

    rounds: int
    bytes_server: int
    bytes_client: int
    material_bytes: int
    macs: int
    seconds: float
    comparison: str

    @property
    def bytes_online(self) -> int:
        """Both directions."""
        return self.bytes_server + self.bytes_client

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "bytes_online": self.bytes_online}


def estimate(
    program: Program,
    network: str | Network | None = None,
    *,
    batch: int = 1,
    comparison: str = "auto",
) -> Estimate:
    """The cost of one inference of `batch` samples on `network` (as in `run_local`), by `moiety.cost.analytic`."""
    from moiety.cost import analytic

    made = analytic(network).estimate(program, batch=batch, comparison=comparison)
    cost = made.cost
    return Estimate(
        cost.rounds,
        made.bytes_server,
        made.bytes_client,
        cost.bytes_offline,
        cost.macs,
        cost.seconds,
        made.comparison,
    )


def choose(program: Program, network: str | Network | None = None, *, batch: int = 1) -> str:
    """The comparison protocols, layer by layer, with the shortest modelled online time whose correlations fit
    `moiety.cost.choose.OFFLINE_BUDGET`."""
    from moiety.cost import analytic

    return analytic(network).choose(program, batch=batch)
