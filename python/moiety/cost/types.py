"""What a computation costs, and what can say so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from moiety.private.program import Program

__all__ = ["Backend", "Cost"]


@dataclass(frozen=True)
class Cost:
    """Online rounds (hops), bytes that both parties send online (frame headers included), bytes that the dealer sends
    to both, multiply-adds of server-held linear maps, and online seconds. Costs add up as if one followed the other.
    """

    rounds: int = 0
    bytes_online: int = 0
    bytes_offline: int = 0
    macs: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.rounds + other.rounds,
            self.bytes_online + other.bytes_online,
            self.bytes_offline + other.bytes_offline,
            self.macs + other.macs,
            self.seconds + other.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@runtime_checkable
class Backend(Protocol):
    """A place where programs run, as far as their cost goes."""

    @property
    def name(self) -> str:
        """What it is, in a few words, for tables and plots."""

    def cost(self, program: Program, *, batch: int = 1, comparison: str = "auto") -> Cost:
        """One inference of `batch` samples. `comparison` as for `moiety.private.run_local`."""

    def operator(self, kind: str, **shape: Any) -> Cost:
        """One operator alone; which shapes it takes, each backend says."""
