"""The client: holds the input, gets the output.

`Client` is one connection to a server: setup once, then any number of inferences of one batch size, each with
correlations of its own. The input is checked here, before anything is sent.
"""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moiety import ProtocolError

from .cost import choose
from .epochs import load_masks, receive_masks, require_id
from .execute import OutOfRangeError, weight_sizes
from .inputs import check_input
from .link import Link
from .material import MaterialFile
from .plan import plan as make_plan
from .program import Program
from .revealed import RevealedPairs, leak
from .session import Engine, Progress, agree, terms
from .sources import DealerSource, FileSource, Source
from .stats import Meter, Stats
from .tls import Tls
from .transport import Network, connect, require_role

__all__ = ["Client", "ClientConfig", "check_input"]


@dataclass(frozen=True)
class ClientConfig:
    """How to reach the server, and where correlations come from: `dealer` (an address) or `correlations` (a file)."""

    server: str
    state: Path | None = None  # keeps E between sessions, and the ledger; a file needs it
    dealer: str | None = None
    correlations: Path | None = None
    comparison: str = "auto"
    tls: Tls | None = None
    timeout: float = 60.0
    threads: int = 1
    network: Network = field(default_factory=Network)
    insecure_plaintext: bool = False


class Client:
    """One connection, for batches of `batch`."""

    def __init__(self, program: Program, batch: int, config: ClientConfig, progress: Progress | None = None) -> None:
        if (config.dealer is None) == (config.correlations is None):
            raise ValueError("the source of correlations: expected either a dealer's address or a correlation file")
        if config.correlations is not None and config.state is None:
            raise ValueError("a correlation file needs a state directory for its ledger: expected one")
        if told := leak(program):
            warnings.warn(told, RevealedPairs, stacklevel=2)
        self.batch = batch
        self._program = program
        self._hash = program.hash
        self._config = config
        self._progress = progress
        self._meter = Meter()
        self._file: MaterialFile | None = None
        self._link: Link | None = None
        self._source: Source | None = None
        try:
            if config.correlations is not None and config.state is not None:
                self._file = MaterialFile(config.correlations, "client", self._hash, config.state)
                if batch != self._file.batch:
                    raise ValueError(
                        f"input has a batch of {batch}: expected {self._file.batch}, what "
                        f"{config.correlations} was dealt for"
                    )
            if self._file is not None:
                self._plan = self._file.plan
            else:
                comparison = config.comparison
                if comparison == "auto":
                    comparison = choose(program, config.network, batch=batch)
                self._plan = make_plan(program, batch, comparison)
            with self._meter.phase("setup"):
                self._engine = self._setup()
        except BaseException as error:
            self.close(error)
            raise

    def _connect(self, address: str, peer: str, role: str) -> Link:
        config = self._config
        link = connect(
            address,
            peer,
            tls=config.tls,
            timeout=config.timeout,
            network=config.network,
            insecure_plaintext=config.insecure_plaintext,
        )
        try:
            require_role(link, role)
        except ProtocolError as error:
            link.fail(error)
            raise
        self._meter.add(link)
        return link

    def _setup(self) -> Engine:
        config, file, program = self._config, self._file, self._program
        link = self._link = self._connect(config.server, "the server", "server")
        ours = terms(
            program,
            self._hash,
            self._plan,
            randomness="file" if file else "dealer",
            comparison=self._plan.comparison,
            batch=self.batch,
        )
        if file is not None:
            ours |= {"deal": file.deal, "epoch": file.epoch}
        link.send("hello", **{**ours, "role": "client"})
        hello = link.receive("hello")
        agree(link.peer, {**ours, "role": "server"}, hello)
        epoch = require_id(hello.get("epoch"), "weight epoch")
        if file is not None:
            self._source = FileSource(file)
        else:
            assert config.dealer is not None
            dealer = self._connect(config.dealer, "the dealer", "dealer")
            try:
                self._source = DealerSource(dealer, "client", self._hash, self._plan, epoch)
            except BaseException as error:
                dealer.fail(error)
                raise
        sizes = weight_sizes(program)
        masks = load_masks(config.state, sizes, program.dtype, epoch, self._hash)
        link.send("setup", have=masks is not None)
        if masks is None:
            masks = receive_masks(link, sizes, program.dtype, config.state, epoch, self._hash)
        else:
            link.receive("go on")
        return Engine("client", program, self._plan, link, masks, config.threads, self._meter)

    def infer(self, x: Any) -> tuple[NDArray[np.float32], Stats]:
        """The network's output for `x`, and the counters of all parties (setup's in the first inference)."""
        batch = check_input(self._program, x)
        if batch.shape[0] != self.batch:
            raise ValueError(
                f"input has a batch of {batch.shape[0]}: expected {self.batch}, what the plan was made for"
            )
        link, source, meter = self._link, self._source, self._meter
        if link is None or source is None:
            raise ValueError("this client is closed: expected an open connection")
        try:
            with meter.phase("offline"):
                while True:
                    link.send("infer", **source.offer())
                    if source.claim(link.receive("session")):
                        break
                    link.send("taken")  # by another process of this client, with the same file
                link.send("claimed")
                made = self._engine.offline(source.material(), self._progress)
                self._engine.rendezvous()
            left_range: OutOfRangeError | None = None
            output = None
            with meter.phase("online"):
                try:
                    output = self._engine.online(batch)
                except OutOfRangeError as error:
                    # For the client alone: towards the server the session goes on as if nothing had happened.
                    left_range = error
            counted = link.receive("done").get("stats")
            meter.skip()
        except BaseException as error:
            whole = link.also(error)
            self.close(whole)
            raise whole from None
        if left_range is not None:
            meter.take()
            raise left_range
        if output is None or not np.isfinite(output).all():
            raise ProtocolError("the inference gave no output: expected finite values")
        return output, Stats.of(meter.take(), counted, made)

    def close(self, error: BaseException | None = None) -> None:
        link, source, file = self._link, self._source, self._file
        self._link = self._source = self._file = None
        if link is not None:
            if error is not None:
                link.fail(error)
            else:
                with contextlib.suppress(ProtocolError):  # the server may have left first
                    link.send("bye")
                link.close()
        if source is not None:
            source.close(error)
        if file is not None:
            file.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close(error)
