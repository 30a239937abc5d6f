"""One thread a connection, a limit on their number, an end that leaves none behind: for server and dealer."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

from moiety import ProtocolError

from .link import Link
from .stats import Meter
from .transport import Listener, Network

__all__ = ["Service"]

_STOP_S = 5.0


class Service:
    """Calls `handle(link, meter)` for every connection to `listener`; its error is logged and told to the peer."""

    def __init__(
        self,
        listener: Listener,
        handle: Callable[[Link, Meter], None],
        *,
        name: str,
        peer: str,
        limit: int,
        timeout: float,
        network: Network,
    ) -> None:
        self._listener = listener
        self._handle = handle
        self._name = name
        self._peer = peer
        self._limit = limit
        self._timeout = timeout
        self._network = network
        self._lock = threading.Lock()
        self._workers: dict[threading.Thread, Link | None] = {}
        self._active = 0
        self._log = logging.getLogger(f"moiety.{name}")

    def run(self, stop: Callable[[], bool]) -> None:
        """Serve until `stop()` is true; connections that are still open then are broken off."""
        while (sock := self._listener.accept(stop)) is not None:
            worker = threading.Thread(target=self._one, args=(sock,), name=f"{self._name}-link", daemon=True)
            with self._lock:
                crowd = len(self._workers)
                if crowd <= 2 * self._limit:  # the surplus hears that it is one too many; beyond that, not even so much
                    self._workers[worker] = None
            if crowd <= 2 * self._limit:
                worker.start()
            else:
                sock.close()
        with self._lock:
            workers = dict(self._workers)
        for link in workers.values():
            if link is not None:
                link.abort()
        for worker in workers:
            worker.join(_STOP_S)

    def _one(self, sock: socket.socket) -> None:
        me = threading.current_thread()
        try:
            meter = Meter()
            try:
                with meter.phase("setup"):
                    link = self._listener.greet(sock, self._peer, self._timeout, self._network)
            except (ProtocolError, OSError) as error:
                self._log.warning("a connection was refused: %s", error)
                return
            meter.add(link)
            with self._lock:
                self._workers[me] = link
                self._active += 1
                crowd = self._active
            failure: Exception | None = None
            try:
                if crowd > self._limit:
                    raise ProtocolError(
                        f"the {self._name} is busy: expected at most {self._limit} connections at once, "
                        "came one more; try later"
                    )
                self._handle(link, meter)
            except ProtocolError as error:
                self._log.warning("a connection ended: %s", error)
                failure = error
            except Exception as error:
                self._log.exception("a connection ended by an unexpected error")
                failure = error
            with self._lock:
                self._active -= 1  # before the peer sees the end: it may come again at once
            if failure is not None:
                link.fail(failure)
            else:
                link.close()
        finally:
            with self._lock:
                self._workers.pop(me, None)
