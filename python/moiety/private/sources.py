"""Where correlations come from, seen from a party: one `Source` a connection.

Which correlation an inference uses is agreed in one exchange: the client makes an `offer`, the server `accept`s it with
a reply that names the session, the client `claim`s it (False: somebody was faster, try again). After that, and not
before, each side asks its source for the material. A dealer-free source needs the same four steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from moiety import ProtocolError

from .epochs import mint_id, require_id
from .link import Buffer, Link
from .material import MaterialFile
from .plan import Plan
from .session import PROTOCOL, Material, agree, fields

__all__ = ["DealerSource", "FileSource", "Source"]


class Source(Protocol):
    """One party's correlations, for one connection."""

    name: str
    weight_seed: bytes | None  # the seed of A: the server's alone

    def offer(self) -> dict[str, Any]: ...
    def accept(self, offer: Mapping[str, Any]) -> dict[str, Any]: ...
    def claim(self, reply: Mapping[str, Any]) -> bool: ...
    def material(self) -> Material: ...
    def close(self, error: BaseException | None = None) -> None: ...


class DealerSource:
    """A dealer process at the other end of `link`: it learns the plan, the session's name and nothing else."""

    name = "dealer"

    def __init__(self, link: Link, role: str, program_hash: str, plan: Plan, epoch: str) -> None:
        self.link = link
        self._role = role
        self._session: str | None = None
        link.send(
            "hello",
            protocol=PROTOCOL,
            role=role,
            program=program_hash,
            ring=plan.ring,
            epoch=epoch,
            plan=plan.to_json(),
        )
        hello = link.receive("hello")
        agree(link.peer, {"protocol": PROTOCOL, "role": "dealer", "plan": plan.hash}, hello)
        self.weight_seed = None
        if role == "server":
            (seed,) = fields(hello, link.peer, weight_seed=str)
            self.weight_seed = _seed(seed, link.peer)

    def offer(self) -> dict[str, Any]:
        return {}

    def accept(self, offer: Mapping[str, Any]) -> dict[str, Any]:
        self._session = mint_id()
        return {"session": self._session}

    def claim(self, reply: Mapping[str, Any]) -> bool:
        self._session = require_id(reply.get("session"), "session")
        return True

    def material(self) -> Material:
        session, self._session = self._session, None
        self.link.send("session", session=session)
        message = self.link.receive("dealing")
        (seed,) = fields(message, self.link.peer, seed=str)
        return _DealerMaterial(self.link, _seed(seed, self.link.peer))

    def close(self, error: BaseException | None = None) -> None:
        if error is not None:
            self.link.fail(error)
        else:
            self.link.close()


def _seed(text: str, peer: str) -> bytes:
    try:
        seed = bytes.fromhex(text)
    except ValueError:
        seed = b""
    if len(seed) != 16:
        raise ProtocolError(f"{peer} sent a seed of {len(text)} characters: expected 32 hexadecimal digits")
    return seed


class _DealerMaterial:
    """One session's stream from the dealer: a frame for each request that has bytes for this role."""

    def __init__(self, link: Link, seed: bytes) -> None:
        self.seed = seed
        self._link = link

    def take(self, size: int) -> Buffer:
        return self._link.receive_material(size)

    def finish(self) -> dict[str, Any]:
        stats = self._link.receive("dealt").get("stats")
        return dict(stats) if isinstance(stats, dict) else {}


class FileSource:
    """A correlation file and its ledger."""

    name = "file"

    def __init__(self, file: MaterialFile) -> None:
        self.file = file
        self.weight_seed = file.weight_seed
        self._serial: int | None = None

    def offer(self) -> dict[str, Any]:
        unused = self.file.unused()
        if not unused:
            raise ProtocolError(
                f"the {self.file.role}'s correlation file is used up: expected an unused serial, came "
                f"{self.file.count} used "
                "ones; deal new files"
            )
        return {"deal": self.file.deal, "unused": f"{sum(1 << serial for serial in unused):x}"}

    def accept(self, offer: Mapping[str, Any]) -> dict[str, Any]:
        deal, text = fields(offer, "the client", deal=str, unused=str)
        if deal != self.file.deal:
            raise ProtocolError(f"the client offers deal {deal[:40]}: expected {self.file.deal}")
        try:
            theirs = int(text[: self.file.count // 4 + 2], 16)
        except ValueError:
            raise ProtocolError("the client offers serials that are no bit mask: expected hexadecimal digits") from None
        ours = self.file.unused()
        for serial in ours:
            if theirs >> serial & 1 and self.file.claim(serial):
                self._serial = serial
                return {"session": mint_id(), "deal": deal, "serial": serial}
        raise ProtocolError(
            f"no serial is left that neither side has used: expected one of {self.file.count}, the server "
            f"has {len(ours)} unused, "
            f"the client {theirs.bit_count()}, none in common; deal new files"
        )

    def claim(self, reply: Mapping[str, Any]) -> bool:
        deal, serial = fields(reply, "the server", deal=str, serial=int)
        if deal != self.file.deal or not 0 <= serial < self.file.count:
            raise ProtocolError(
                f"the server names serial {serial} of deal {deal[:40]}: expected one of {self.file.count} "
                f"of deal {self.file.deal}"
            )
        self._serial = serial
        return self.file.claim(serial)

    def material(self) -> Material:
        serial, self._serial = self._serial, None
        if serial is None:
            raise RuntimeError("material() without a claimed serial")
        return self.file.read(serial)

    def close(self, error: BaseException | None = None) -> None:
        """The file stays open: a server shares it between connections."""
