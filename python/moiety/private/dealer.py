"""The dealer: a third process that makes correlations and sees neither data nor weights.

What comes in is the handshake and the plan, nothing else; what goes out is one stream to each party:

    party: hello (role, program hash, ring, weight epoch, plan)
                             dealer: hello (plan hash; to the server the seed of A)
    party: session (id)
                             dealer: dealing (seed), material frames, dealt (counters)

A session starts when both roles have named it with equal plans. Each (session, role) stream is handed out once, over
TLS only to a certificate of that role. Request after request is dealt into two queues bounded in bytes, so memory
stays bounded and either party may run ahead of the other by as much. A dealer together with one party sees everything.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moiety import ProtocolError
from moiety._core import mpc

from .epochs import DealerEpochs, require_id
from .link import Buffer, Link, PeerError
from .plan import Plan
from .service import Service
from .session import PROTOCOL, agree, fields, material_sizes
from .stats import PHASES, Meter, Phase
from .transport import PLAIN, Listener, Network, require_role

__all__ = ["Dealer"]

log = logging.getLogger("moiety.dealer")

_QUEUE_BYTES = 64 << 20
_ROLES = ("server", "client")


class _Stopped(Exception):
    """The other stream of the session broke."""


class _Queue:
    """Material on its way to one party, bounded in bytes (one piece may exceed the bound by itself)."""

    def __init__(self) -> None:
        self._pieces: deque[Buffer | None] = deque()
        self._bytes = 0
        self._error: str | None = None
        self._changed = threading.Condition()

    def put(self, piece: Buffer | None) -> None:
        """Add a piece; None ends the stream."""
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or not self._pieces or self._bytes < _QUEUE_BYTES)
            if self._error is not None:
                raise _Stopped(self._error)
            self._pieces.append(piece)
            self._bytes += 0 if piece is None else len(piece)
            self._changed.notify_all()

    def get(self) -> Buffer | None:
        with self._changed:
            self._changed.wait_for(lambda: self._error is not None or bool(self._pieces))
            if self._error is not None:
                raise ProtocolError(self._error)
            piece = self._pieces.popleft()
            self._bytes -= 0 if piece is None else len(piece)
            self._changed.notify_all()
            return piece

    def stop(self, error: str) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()


@dataclass(frozen=True)
class _Contract:
    """What both parties of a session must have named alike."""

    program: str
    epoch: str
    plan: str


class _Session:
    """One inference's dealing, from the first role's arrival to the end of both streams."""

    def __init__(self, contract: _Contract) -> None:
        self.contract = contract
        self.seeds = {role: secrets.token_bytes(16) for role in _ROLES}
        self.queues = {role: _Queue() for role in _ROLES}
        self.started = threading.Event()
        self.error: str | None = None
        self.stats: dict[str, Any] = {}
        self._setup = Phase()
        self._meter = Meter()
        self._phase = self._meter.phase("offline")
        self._ends = threading.Barrier(2, action=self._count)

    def join(self, link: Link, setup: Phase) -> None:
        self._meter.add(link)
        self._setup.bytes_sent += setup.bytes_sent
        self._setup.rounds = max(self._setup.rounds, setup.rounds)
        self._setup.cpu_seconds += setup.cpu_seconds
        self._setup.peak_bytes = max(self._setup.peak_bytes, setup.peak_bytes)
        self._setup.wall_seconds = max(self._setup.wall_seconds, setup.wall_seconds)

    def start(self) -> None:
        """Both roles are here."""
        self._phase.__enter__()
        self.started.set()

    def end(self) -> None:
        """One stream is out; wait for the other, so that the counters hold both."""
        try:
            self._ends.wait()
        except threading.BrokenBarrierError:
            raise ProtocolError(self.error or "the dealing stopped") from None

    def _count(self) -> None:
        self._phase.__exit__(None, None, None)
        offline = self._meter.phases["offline"]
        offline.rounds = 2  # the parties' requests, which go side by side, and the streams
        phases = {name: Phase() for name in PHASES} | {"setup": self._setup, "offline": offline}
        self.stats = {name: asdict(phase) for name, phase in phases.items()}

    def stop(self, error: str) -> None:
        """Something broke; whoever still waits for this session gives up with `error`."""
        self.error = self.error or error
        for queue in self.queues.values():
            queue.stop(self.error)
        self._ends.abort()
        self.started.set()


class Dealer:
    """The dealer service over one listener."""

    def __init__(
        self,
        listener: Listener,
        state: Path,
        *,
        timeout: float = 60.0,
        threads: int = 1,
        network: Network = PLAIN,
        limit: int = 64,
    ) -> None:
        self._listener = listener
        self._epochs = DealerEpochs(state)
        self._timeout = timeout
        self._threads = threads
        self._network = network
        self._limit = limit
        self._lock = threading.Lock()
        self._handed_out: set[tuple[str, str]] = set()
        self._sessions: dict[str, _Session] = {}

    def serve(self, stop: Callable[[], bool]) -> None:
        """Serve until `stop()` is true, then end the streams that still run."""
        service = Service(
            self._listener,
            self._serve_party,
            name="dealer",
            peer="a party",
            limit=self._limit,
            timeout=self._timeout,
            network=self._network,
        )
        service.run(stop)

    def _serve_party(self, link: Link, meter: Meter) -> None:
        try:
            self._serve_role(link, meter)
        except ValueError as error:  # of a plan that does not parse
            raise ProtocolError(f"the dealer refuses: {error}") from None

    def _serve_role(self, link: Link, meter: Meter) -> None:
        greeted = meter.take()["setup"]
        cpu, wall = time.thread_time() - greeted["cpu_seconds"], time.perf_counter() - greeted["wall_seconds"]
        hello = link.receive("hello")
        expected = {"protocol": PROTOCOL}
        role = hello.get("role")
        if hello.get("protocol") == PROTOCOL and role not in _ROLES:
            raise ProtocolError(f"a party came to the dealer with role {str(role)[:40]!r}: expected server or client")
        agree("a party", expected, hello)
        link.peer = f"the {role}"
        require_role(link, str(role))
        program, epoch, document, ring = fields(hello, link.peer, program=str, epoch=str, plan=dict, ring=int)
        require_id(epoch, "weight epoch")
        plan = Plan.from_json(document)
        agree(link.peer, {"ring": plan.ring}, {"ring": ring})
        answer: dict[str, Any] = {"protocol": PROTOCOL, "role": "dealer", "plan": plan.hash}
        if role == "server":
            answer["weight_seed"] = self._epochs.seed(epoch, program, link.identity).hex()
        link.send("hello", **answer)
        setup = Phase(
            link.bytes_sent, link.hops, time.thread_time() - cpu, time.perf_counter() - wall, greeted["peak_bytes"]
        )
        contract = _Contract(program, epoch, plan.hash)
        while True:
            try:
                message = link.receive("session")
            except ProtocolError as error:
                if isinstance(error, PeerError) or link.gone():
                    return  # the usual end of a connection
                raise
            (session,) = fields(message, link.peer, session=str)
            self._deal(require_id(session, "session"), str(role), contract, plan, link, setup)
            setup = Phase()

    def _deal(self, name: str, role: str, contract: _Contract, plan: Plan, link: Link, setup: Phase) -> None:
        """Give `role` its stream of the session `name`."""
        session, complete = self._join(name, role, contract, link, setup)
        try:
            if complete:
                session.start()
                threading.Thread(target=self._make, args=(name, session, plan), name="dealer-make", daemon=True).start()
            self._await_other(session, role, link)
            link.send("dealing", seed=session.seeds[role].hex())
            while (piece := session.queues[role].get()) is not None:
                link.send_material(piece)
            session.end()
            link.send("dealt", stats=session.stats)
        except BaseException as error:
            session.stop(f"the dealing stopped: {error}" if isinstance(error, ProtocolError) else "the dealing stopped")
            raise
        finally:
            with self._lock:
                self._sessions.pop(name, None)

    def _join(self, name: str, role: str, contract: _Contract, link: Link, setup: Phase) -> tuple[_Session, bool]:
        with self._lock:
            if (name, role) in self._handed_out:
                raise ProtocolError(
                    f"the {role}'s stream of session {name} was handed out before: expected a session of "
                    "its own for every inference"
                )
            self._handed_out.add((name, role))
            session = self._sessions.get(name)
            complete = session is not None
            if session is None:
                others = [other for other in _ROLES if other != role and (name, other) in self._handed_out]
                if others:
                    raise ProtocolError(f"session {name} is over: expected the {role} while the {others[0]} waited")
                session = self._sessions[name] = _Session(contract)
            elif session.contract != contract:
                words = {"program": "program", "epoch": "weight epoch", "plan": "plan"}
                text = "; ".join(
                    f"{label}: expected {getattr(session.contract, key)[:16]}, came {getattr(contract, key)[:16]}"
                    for key, label in words.items()
                    if getattr(session.contract, key) != getattr(contract, key)
                )
                message = f"the parties of session {name} differ: {text}"
                session.stop(message)
                raise ProtocolError(message)
            session.join(link, setup)
            return session, complete

    def _await_other(self, session: _Session, role: str, link: Link) -> None:
        other = _ROLES[1 - _ROLES.index(role)]
        end = time.monotonic() + self._timeout
        while not session.started.wait(0.05):
            if link.gone():
                raise ProtocolError(f"the {role} left before the {other} came")
            if time.monotonic() > end:
                raise ProtocolError(f"the {other} did not come to the session within {self._timeout:g} s: expected it")
        if session.error is not None:
            raise ProtocolError(session.error)

    def _make(self, name: str, session: _Session, plan: Plan) -> None:
        """Deal request after request into both queues."""
        sizes = {role: material_sizes(plan, role) for role in _ROLES}
        try:
            weight_seed = self._epochs.known(session.contract.epoch)
            seeds = session.seeds
            dealer = mpc.Dealer(plan.ring, plan.requests, seeds["server"], seeds["client"], weight_seed, self._threads)
            for index in range(len(plan.requests)):
                for role, piece in zip(_ROLES, dealer.deal(index), strict=True):
                    if len(piece) != sizes[role][index]:
                        raise RuntimeError(f"request {index} has {len(piece)} bytes: expected {sizes[role][index]}")
                    if len(piece):
                        session.queues[role].put(piece)
            for role in _ROLES:
                session.queues[role].put(None)
        except _Stopped:
            return
        except ProtocolError as error:
            session.stop(str(error))
        except Exception:
            log.exception("session %s: unexpected error", name)
            session.stop("the dealer met an error of its own; its log says which")
        else:
            log.info("session %s dealt", name)
