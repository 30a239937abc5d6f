"""A link: one channel to one peer, with control and material frames on it, counted.

Control frames are JSON objects with a `type`. An error frame carries one sentence for the peer; whoever receives
it raises `PeerError` and answers nothing, so that two parties never quarrel. Hops are counted as changes of
direction: the first frame after one that went the other way opens a new hop, on both sides alike.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from moiety import ProtocolError
from moiety._core.mpc import Channel

__all__ = ["CONTROL", "ERROR", "MATERIAL", "STEP", "Buffer", "Link", "PeerError", "printable"]

Buffer = bytes | memoryview | NDArray[np.uint8]

STEP, CONTROL, MATERIAL, ERROR = 1, 2, 3, 4
_NAMES = {STEP: "protocol step", CONTROL: "control", MATERIAL: "material", ERROR: "error"}
_CONTROL_LIMIT = 64 << 20  # a plan of a deep network is a few MiB of JSON
_LINGER_S = 0.5
_UNREAD = 64  # frames that may lie before a peer's last words
_REPORTED = "the peer reported: "  # how the channel passes an error frame on


class PeerError(ProtocolError):
    """The peer gave up and said why; on its own link nothing is to be answered."""

    def __init__(self, link: Link, text: str) -> None:
        super().__init__(f"{link.peer} gave up: {text}")
        self.link = link


def printable(text: str, limit: int = 600) -> str:
    """One line of `text` that a terminal can show: a peer's words are not trusted with escape sequences."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


class Secured(Protocol):
    """What TLS knows about the peer."""

    role: str | None
    identity: str | None


class Link:
    """A channel to `peer` (a word for messages: "the server", "the dealer"), owned by one thread at a time."""

    def __init__(
        self,
        channel: Channel,
        sock: socket.socket,
        peer: str,
        timeout: float,
        secured: Secured | None = None,
    ) -> None:
        self.channel = channel
        self.peer = peer
        self.timeout = timeout
        self.role = secured.role if secured else None  # of the peer's certificate; None without TLS
        self.identity = secured.identity if secured else None  # its fingerprint
        self.hops = 0
        self._sock = sock
        self._secured = secured  # the channel calls it: it must live as long
        self._sending: bool | None = None
        self._closed = False

    @property
    def bytes_sent(self) -> int:
        return int(self.channel.bytes_sent)

    def _turn(self, sending: bool) -> None:
        if self._sending is not sending:
            self.hops += 1
            self._sending = sending

    def send(self, kind: str, **fields: Any) -> None:
        self._turn(True)
        payload = json.dumps({"type": kind, **fields}, separators=(",", ":")).encode()
        with self._named():
            self.channel.send(CONTROL, payload)

    def send_material(self, payload: Buffer) -> None:
        self._turn(True)
        with self._named():
            self.channel.send(MATERIAL, payload)

    def meet(self, kind: str) -> None:
        """Both sides send `kind` at the same time: one hop, after which either may speak."""
        self._sending = True
        self.send(kind)
        self._sending = False
        self.receive(kind)
        self.hops += 1
        self._sending = None

    def receive(self, *kinds: str) -> dict[str, Any]:
        """The next control frame, which must be one of `kinds`."""
        payload = bytes(self._receive(CONTROL, _CONTROL_LIMIT, " or ".join(f'"{kind}"' for kind in kinds)))
        try:
            message = json.loads(payload)
        except (ValueError, RecursionError):
            raise ProtocolError(f"{self.peer} sent a control frame that is not JSON") from None
        if not isinstance(message, dict) or message.get("type") not in kinds:
            came = message.get("type") if isinstance(message, dict) else type(message).__name__
            raise ProtocolError(
                f"{self.peer} sent a control frame of type {printable(repr(came), 60)}: expected {' or '.join(kinds)}"
            )
        return message

    def receive_material(self, size: int) -> Buffer:
        payload = self._receive(MATERIAL, max(size, _CONTROL_LIMIT), f"{size} bytes of material")
        if len(payload) != size:
            raise ProtocolError(f"{self.peer} sent {len(payload)} bytes of material: expected {size}")
        return payload

    def _receive(self, expected: int, limit: int, what: str) -> NDArray[np.uint8]:
        self._turn(False)
        with self._named():
            tag, payload = self.channel.recv(limit)
        if tag != expected:
            raise ProtocolError(f"{self.peer} sent a {_NAMES.get(tag, f'tag-{tag}')} frame: expected {what}")
        return np.asarray(payload, np.uint8)

    @contextlib.contextmanager
    def _named(self) -> Any:
        """Put the peer's name before what the channel says."""
        try:
            yield
        except ProtocolError as error:
            raise self.explain(error) from None

    def fail(self, error: BaseException) -> None:
        """Tell the peer, as far as it still listens, why this side gives up; then close. Never raises.

        Only the words of a ProtocolError go out: they are written for both sides. Anything else is this side's
        business.
        """
        heard = isinstance(error, PeerError) and error.link is self
        if not self._closed and not heard:
            text = str(error) if isinstance(error, ProtocolError) else "it met an error of its own; its log says which"
            with contextlib.suppress(Exception):
                self.channel.send(ERROR, json.dumps({"error": printable(text)}).encode())
        self.close()

    def explain(self, error: ProtocolError) -> ProtocolError:
        """`error` of this link's channel, with the peer's name; or what the peer said before it went away."""
        if isinstance(error, PeerError):
            return error
        if not str(error).startswith(_REPORTED):
            # The send may have failed because the peer gave up; what it said then still waits to be read.
            try:
                for _ in range(_UNREAD):
                    if not self.gone():
                        break
                    self.channel.recv(_CONTROL_LIMIT)
            except ProtocolError as last:
                if str(last).startswith(_REPORTED):
                    error = last
        if str(error).startswith(_REPORTED):
            return PeerError(self, _error_text(str(error).removeprefix(_REPORTED)))
        return error if self.peer in str(error) else ProtocolError(f"{self.peer}: {error}")

    def also(self, error: BaseException) -> BaseException:
        """`error` of another link; with it what became of this peer, if that is gone too. The session is over."""
        if not isinstance(error, ProtocolError) or self._closed or self.peer in str(error) or not self.gone():
            return error
        try:
            self.channel.recv(_CONTROL_LIMIT)
        except ProtocolError as own:
            return ProtocolError(f"{error}; {self.explain(own)}")
        return error

    def gone(self) -> bool:
        """Whether the peer has closed, or speaks out of turn, while this side waits for somebody else."""
        if self._closed:
            return True
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(poll.poll(0))

    def wait(self, seconds: float, stop: Callable[[], bool]) -> bool:
        """Wait until the peer speaks or closes; False when `seconds` passed or `stop()` became true."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        end = time.monotonic() + seconds
        while not stop() and (left := end - time.monotonic()) > 0:
            if poll.poll(min(left, 0.2) * 1000):
                return True
        return False

    def abort(self) -> None:
        """Close at once; a thread that waits on this link wakes with an error."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close, leaving the peer time to read what was sent: unread input would turn the close into a reset."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError, ValueError):
            self._sock.shutdown(socket.SHUT_WR)
            self._sock.settimeout(_LINGER_S)
            end = time.monotonic() + _LINGER_S
            while time.monotonic() < end and self._sock.recv(1 << 16):
                pass
        self.channel.close()
        self._sock.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.close()
        else:
            self.fail(error)


def _error_text(payload: str) -> str:
    try:
        message: Mapping[str, Any] = json.loads(payload)
        return printable(str(message["error"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return "(it did not say why)"
