"""Listening and connecting: Unix sockets, TCP, and TLS 1.3 with mutual certificates over TCP.

Addresses are written `host:port`, `[v6]:port` or `unix:/path`. The parties' link carries masked data that two streams
would unmask, so TCP that leaves the machine needs TLS: plain TCP to another host is refused unless the caller
insists. C++ runs the poll loop of a plain socket; for TLS, Python's `ssl` runs over it behind `TlsStream.exchange`.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import select
import socket
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moiety import ProtocolError
from moiety._core import mpc

from .link import Link
from .tls import Tls, TlsStream

__all__ = ["LAN", "WAN", "Address", "Listener", "Network", "connect", "listen", "require_role"]


@dataclass(frozen=True)
class Network:
    """A shaped link: round trip in milliseconds and rate in megabits a second (0: as the machine gives it)."""

    rtt_ms: float = 0.0
    mbit: float = 0.0

    @staticmethod
    def of(network: str | Network | None) -> Network:
        if isinstance(network, Network):
            return network
        named = {None: Network(), "none": Network(), "lan": LAN, "wan": WAN}
        if network not in named:
            raise ValueError(f'network is {network!r}: expected None, "lan", "wan" or Network(rtt_ms=, mbit=)')
        return named[network]


PLAIN = Network()
# The settings in which CrypTFlow2, Cheetah and their successors publish: 384 MB/s with 0.3 ms and 44 MB/s with 40 ms
# (shared/reference/peers-2pc.md, section 3).
LAN = Network(rtt_ms=0.3, mbit=384 * 8)
WAN = Network(rtt_ms=40.0, mbit=44 * 8)


@dataclass(frozen=True)
class Address:
    """`unix:/path`, or a host and a port."""

    host: str = ""
    port: int = 0
    path: str = ""

    @staticmethod
    def parse(text: str) -> Address:
        if text.startswith("unix:") and len(text) > 5:
            return Address(path=text[5:])
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"address {text!r}: expected host:port, [v6]:port or unix:/path")
        return Address(host=host, port=int(port))

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def stays_here(self) -> bool:
        """Whether traffic to this address cannot leave the machine."""
        if self.path:
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"


def _check_plaintext(address: Address, tls: Tls | None, insecure_plaintext: bool) -> None:
    if tls is None and not address.stays_here() and not insecure_plaintext:
        raise ValueError(
            f"{address} is not on this machine and no certificate was given: expected TLS "
            "(`moiety certs` makes certificates; --insecure-plaintext sends everything in clear)"
        )


def _link(sock: socket.socket, tls: Tls | None, server_side: bool, peer: str, timeout: float, network: Network) -> Link:
    """Wrap a connected socket, which the link owns from here on, also when this raises."""
    try:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        if tls is None:
            channel = mpc.socket_channel(sock.fileno(), timeout, network.rtt_ms, network.mbit)
            return Link(channel, sock, peer, timeout)
        stream = TlsStream(sock, tls.context(server_side), server_side, peer, timeout)
        stream.handshake()
        channel = mpc.callback_channel(stream, timeout, network.rtt_ms, network.mbit)
        return Link(channel, sock, peer, timeout, stream)
    except BaseException:
        sock.close()
        raise


def connect(
    address: str | Address,
    peer: str,
    *,
    tls: Tls | None = None,
    timeout: float = 60.0,
    network: Network = PLAIN,
    insecure_plaintext: bool = False,
) -> Link:
    """Connect to the party that `peer` names; while nobody listens yet, try again until `timeout`."""
    address = Address.parse(address) if isinstance(address, str) else address
    _check_plaintext(address, tls, insecure_plaintext)
    end = time.monotonic() + timeout
    while True:
        try:
            return _link(_dial(address, end), tls, False, peer, timeout, network)
        except (ConnectionRefusedError, FileNotFoundError):
            if time.monotonic() + 0.05 >= end:
                raise ProtocolError(
                    f"nobody answers at {address} within {timeout:g} s: expected {peer}; is it running?"
                ) from None
            time.sleep(0.05)
        except OSError as error:
            raise ProtocolError(f"cannot reach {peer} at {address}: {error.strerror or error}") from None


def _dial(address: Address, end: float) -> socket.socket:
    left = max(0.05, end - time.monotonic())
    if not address.path:
        return socket.create_connection((address.host, address.port), timeout=left)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(left)
        sock.connect(address.path)
    except BaseException:
        sock.close()
        raise
    return sock


class Listener:
    """A listening socket. `accept` gives raw connections; `greet` turns one into a link (TLS handshake included)."""

    def __init__(self, sock: socket.socket, address: Address, tls: Tls | None) -> None:
        self.address = address
        self.tls = tls
        self._sock = sock

    def accept(self, stop: Callable[[], bool]) -> socket.socket | None:
        """The next connection, or None once `stop()` is true."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        while not stop():
            if poll.poll(100):
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    return self._sock.accept()[0]
        return None

    def greet(self, sock: socket.socket, peer: str, timeout: float, network: Network = PLAIN) -> Link:
        return _link(sock, self.tls, True, peer, timeout, network)

    def close(self) -> None:
        self._sock.close()
        if self.address.path:
            Path(self.address.path).unlink(missing_ok=True)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def listen(address: str | Address, *, tls: Tls | None = None, insecure_plaintext: bool = False) -> Listener:
    """Listen at `address` (port 0: any free one). A Unix socket is made for this user alone."""
    address = Address.parse(address) if isinstance(address, str) else address
    _check_plaintext(address, tls, insecure_plaintext)
    if tls is not None:
        tls.context(True)  # complain about certificates now, not at the first client
    family = socket.AF_UNIX if address.path else socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if address.path:
            _remove_stale(address)
            mask = os.umask(0o177)
            try:
                sock.bind(address.path)
            finally:
                os.umask(mask)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address.host, address.port))
            address = Address(host=address.host, port=sock.getsockname()[1])
        sock.listen(64)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(
                errno.EADDRINUSE,
                f"{address} is in use: expected a free address; stop the process that listens there or choose another",
            ) from None
        raise OSError(error.errno, f"cannot listen at {address}: {error.strerror or error}") from None
    return Listener(sock, address, tls)


def _remove_stale(address: Address) -> None:
    """Remove the socket file that a dead process left; one that answers is left alone, and bind() then refuses."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(address.path).st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                try:
                    probe.connect(address.path)
                except ConnectionRefusedError:
                    os.unlink(address.path)


def require_role(link: Link, *roles: str) -> None:
    """Over TLS the peer's certificate must carry one of `roles`."""
    if link.role is not None and link.role not in roles:
        raise ProtocolError(f"{link.peer} has a certificate of role {link.role}: expected role {' or '.join(roles)}")
