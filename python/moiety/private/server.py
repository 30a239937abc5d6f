"""The server: holds the weights, serves one client after another and several at once, up to a limit.

A fault of one client ends that client's connection and nothing else. What a client may choose is the batch (up to the
limit) and the comparison protocol; everything else must fit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moiety import ProtocolError

from .epochs import ServerEpochs, send_masks
from .execute import weight_masks, weights
from .link import Link
from .material import MaterialFile
from .plan import Plan, comparing, require_comparison
from .plan import plan as make_plan
from .program import Program
from .revealed import leak
from .service import Service
from .session import Engine, agree, fields, terms
from .sources import DealerSource, FileSource, Source
from .stats import Meter
from .tls import Tls
from .transport import Listener, Network, connect, require_role

__all__ = ["Server", "ServerConfig"]

log = logging.getLogger("moiety.server")

_PLANS = 64  # that are kept: by batch and comparison, both of which a client may choose


@dataclass(frozen=True)
class ServerConfig:
    """How a server serves. `dealer` is an address, `correlations` are files of `moiety deal`; one is needed."""

    state: Path
    dealer: str | None = None
    correlations: Sequence[Path] = ()
    tls: Tls | None = None  # towards the dealer; the listener has its own
    max_batch: int = 64
    max_clients: int = 4
    timeout: float = 60.0
    threads: int = 1
    network: Network = field(default_factory=Network)
    insecure_plaintext: bool = False


class Server:
    """Serve `program` over `listener`."""

    def __init__(self, program: Program, listener: Listener, config: ServerConfig) -> None:
        if not program.has_weights:
            raise ValueError(
                "the server's program has no weights: expected what compile() saved, came without_weights()"
            )
        if config.dealer is None and not config.correlations:
            raise ValueError("no source of correlations: expected a dealer's address or correlation files")
        if told := leak(program):
            log.warning("%s", told)
        self.program = program
        self.config = config
        self._listener = listener
        self._hash = program.hash
        self._epochs = ServerEpochs(config.state, self._hash, program.weights_hash)
        self._weights = weights(program)
        self._files: dict[str, MaterialFile] = {}
        self._plans: dict[tuple[int, str], Plan] = {}
        self._lock = threading.Lock()
        try:
            for path in config.correlations:
                file = MaterialFile(path, "server", self._hash, config.state)
                self._files[file.deal] = file
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def serve(self, stop: Callable[[], bool]) -> None:
        """Serve until `stop()` is true."""
        service = Service(
            self._listener,
            self._serve_client,
            name="server",
            peer="the client",
            limit=self.config.max_clients,
            timeout=self.config.timeout,
            network=self.config.network,
        )
        service.run(stop)

    def _serve_client(self, link: Link, meter: Meter) -> None:
        """One connection: handshake, setup, inferences."""
        require_role(link, "client")
        with meter.phase("setup"):
            plan, file, epoch = self._handshake(link)
            source = self._source(link, plan, file, epoch, meter)
        done = 0
        try:
            with meter.phase("setup"):
                if source.weight_seed is None:
                    raise ProtocolError(f"the {source.name} gave no mask for the weights: expected its seed")
                self._epochs.bind(epoch, source.name, source.weight_seed)
                (have,) = fields(link.receive("setup"), link.peer, have=bool)
                if have:
                    link.send("go on")
                else:
                    send_masks(link, weight_masks(self.program, source.weight_seed))
            engine = Engine("server", self.program, plan, link, self._weights, self.config.threads, meter)
            while self._infer(link, engine, source, meter):
                done += 1
        except BaseException as error:
            whole = link.also(error)
            source.close(whole)
            raise whole from None
        source.close()
        log.info("a client left after %d inferences", done)

    def _infer(self, link: Link, engine: Engine, source: Source, meter: Meter) -> bool:
        """One inference; False when the client has had enough."""
        message = link.receive("infer", "bye")
        with meter.phase("offline"):
            while True:
                if message["type"] == "bye":
                    return False
                link.send("session", **source.accept(message))
                if link.receive("claimed", "taken")["type"] == "claimed":
                    break
                message = link.receive("infer", "bye")
            engine.offline(source.material())
            engine.rendezvous()
        with meter.phase("online"):
            engine.online(None)
        link.send("done", stats=meter.take())
        meter.skip()
        return True

    def _handshake(self, link: Link) -> tuple[Plan, MaterialFile | None, str]:
        """Compare terms with the client; the plan, the correlation file or None, and the weight epoch."""
        hello = link.receive("hello")
        batch, comparison, randomness = (hello.get(name) for name in ("batch", "comparison", "randomness"))
        ours: dict[str, Any] = {"role": "client"}
        deal = hello.get("deal")
        file = self._files.get(deal) if isinstance(deal, str) else None
        if randomness == "file" and self._files:
            known = file or next(iter(self._files.values()))
            ours |= {"randomness": "file", "deal": known.deal, "epoch": known.epoch}
            ours |= {"batch": known.batch, "comparison": known.comparison}
        else:
            fits = isinstance(batch, int) and not isinstance(batch, bool) and 1 <= batch <= self.config.max_batch
            ours |= {"batch": batch if fits else self.config.max_batch}
            ours |= {"comparison": self._comparison(comparison)}
            ours |= {"randomness": "dealer" if self.config.dealer is not None else "file"}
        plan = file.plan if file is not None else self._plan(ours["batch"], ours["comparison"])
        if ours["randomness"] == "dealer":
            ours["epoch"] = self._epochs.current()
        offered = terms(self.program, self._hash, plan, **ours)
        link.send("hello", **{**offered, "role": "server"})
        if ours["randomness"] == "dealer":
            del offered["epoch"]  # the server mints it, the client takes it over
        agree(link.peer, offered, hello)
        return plan, file, str(ours["epoch"])

    def _comparison(self, asked: object) -> str:
        """What the client asked for, if it fits the program; else something that will not agree with it."""
        try:
            return require_comparison(asked, len(comparing(self.program)))
        except ValueError:
            return "circuit"

    def _plan(self, batch: int, comparison: str) -> Plan:
        with self._lock:
            plan = self._plans.get((batch, comparison))
            if plan is None:
                if len(self._plans) >= _PLANS:  # a client may ask for ever new ones
                    self._plans.clear()
                plan = self._plans[batch, comparison] = make_plan(self.program, batch, comparison)
            return plan

    def _source(self, link: Link, plan: Plan, file: MaterialFile | None, epoch: str, meter: Meter) -> Source:
        if file is not None:
            return FileSource(file)
        config = self.config
        assert config.dealer is not None
        dealer = connect(
            config.dealer,
            "the dealer",
            tls=config.tls,
            timeout=config.timeout,
            network=config.network,
            insecure_plaintext=config.insecure_plaintext,
        )
        meter.add(dealer)
        try:
            require_role(dealer, "dealer")
            return DealerSource(dealer, "server", self._hash, plan, epoch)
        except BaseException as error:
            dealer.fail(error)
            raise
