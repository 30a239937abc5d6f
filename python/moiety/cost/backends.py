"""The backends by name."""

from __future__ import annotations

import os
from typing import Any

from moiety.private.transport import Network

from .choose import OFFLINE_BUDGET
from .engine import EngineBackend
from .pasnet import FpgaBackend, fpga
from .table import Table, default_table, load_table

__all__ = ["analytic", "backend", "measured", "network_of"]


def network_of(text: str | None) -> Network:
    """A network by name ("lan", "wan", "none") or as RTT_MS:MBIT (a comma does too; 0 Mbit/s: no limit)."""
    if text is not None and (":" in text or "," in text):
        try:
            rtt, mbit = (float(part) for part in text.replace(",", ":").split(":"))
        except ValueError:
            rtt = mbit = -1.0
        if not (0 <= rtt < float("inf") and 0 <= mbit < float("inf")):
            raise ValueError(f"network is {text!r}: expected lan, wan or RTT_MS:MBIT")
        return Network(rtt_ms=rtt, mbit=mbit)
    return Network.of(text)


def _words(network: Network) -> str:
    if network == Network():
        return "loopback"
    return f"{network.rtt_ms:g} ms, {network.mbit:g} Mbit/s"


def analytic(network: str | Network | None = None, *, offline_budget: int = OFFLINE_BUDGET) -> EngineBackend:
    """This engine with the cost table that the package ships, on a network; rounds and bytes are exact, seconds are
    those of the machine that the table names."""
    shape = network if isinstance(network, Network) else network_of(network)
    return EngineBackend(default_table(), shape, f"engine, {_words(shape)}", offline_budget)


def measured(
    table: Table | str | os.PathLike[str],
    network: str | Network | None = None,
    *,
    offline_budget: int = OFFLINE_BUDGET,
) -> EngineBackend:
    """This engine as `moiety profile` measured it; the network is the table's unless another is given.

    Raises ValueError for a table whose rows of the 64-bit ring, which programs have unless they are asked for another,
    miss their own samples by more than 10 % on average; a program of the 32-bit ring is refused by that ring's rows.
    """
    loaded = table if isinstance(table, Table) else load_table(table)
    loaded.require_fit(64)
    if network is None:
        shape = Network(**{key: float(loaded.made["network"][key]) for key in ("rtt_ms", "mbit")})
    else:
        shape = network if isinstance(network, Network) else network_of(network)
    return EngineBackend(loaded, shape, f"measured engine, {_words(shape)}", offline_budget, require_fit=True)


def backend(spec: str, **options: Any) -> EngineBackend | FpgaBackend:
    """`analytic`, `analytic:lan`, `analytic:RTT_MS:MBIT`, `measured:TABLE.json`, or `fpga`, with the options of the
    function of that name. Raises ValueError for anything else."""
    kind, _, rest = spec.partition(":")
    if kind == "analytic":
        return analytic(rest or None, **options)
    if kind == "measured" and rest:
        return measured(rest, **options)
    if spec == "fpga":
        return fpga(**options)
    raise ValueError(
        f"cost backend is {spec!r}: expected analytic, analytic:lan, analytic:wan, analytic:RTT_MS:MBIT, "
        "measured:TABLE.json or fpga"
    )
