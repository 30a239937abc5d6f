"""Listening and connecting: Unix sockets, TCP, and TLS 1.3 with mutual certificates over TCP.

Addresses are written `host:port`, `[v6]:port` or `unix:/path`. The parties' link carries masked data that two streams
would unmask, so TCP that leaves the machine needs TLS: plain TCP to another host is refused unless the caller
insists. C++ runs the poll loop of a plain socket; for TLS, Python's `ssl` runs over it behind `TlsStream.exchange`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import ipaddress
import os
import select
import socket
import ssl
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moiety import ProtocolError
from moiety._core import mpc

from .link import Link

__all__ = ["LAN", "WAN", "Address", "Listener", "Network", "Tls", "TlsStream", "connect", "listen", "require_role"]

_RECORD = 16 << 10  # plaintext of one TLS record
_PENDING = 1 << 20  # ciphertext that waits for the socket
_READ_AHEAD = 64 << 20  # ciphertext taken in while this side still sends
_ROLE_PREFIX = "moiety:role:"


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
class Tls:
    """This party's certificate and key, and the private authority that signs every party's (PEM files)."""

    authority: Path
    certificate: Path
    key: Path

    def context(self, server_side: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = (
            False  # the authority is this deployment's own, and the role in the certificate is checked
        )
        context.verify_mode = ssl.CERT_REQUIRED
        if server_side:
            context.num_tickets = 0  # no resumption: every connection proves its certificate
        for path in (self.authority, self.certificate, self.key):
            if not path.is_file():
                raise ValueError(f"TLS needs {path}, which is not there: `moiety certs` makes it")
        try:
            context.load_verify_locations(self.authority)
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except ssl.SSLError as error:
            raise ValueError(
                f"TLS refuses {self.certificate} with {self.key} under {self.authority}: {error.reason or error}"
            ) from None
        return context


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


class TlsStream:
    """TLS 1.3 over a non-blocking socket. `exchange` sends and receives at once, so two parties that both send
    100 MB to each other never wait for each other."""

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, server_side: bool, peer: str, timeout: float
    ) -> None:
        self._sock = sock
        self._peer = peer
        self._timeout = timeout
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._unsent = memoryview(b"")
        self.role: str | None = None
        self.identity: str | None = None

    def handshake(self) -> None:
        end = time.monotonic() + self._timeout
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                if not self._move(reading=True, needed=True):
                    self._wait(reading=True, end=end, missing="its part of the TLS handshake")
            except ssl.SSLError as error:
                self._move(reading=False)  # the alert that tells the peer
                raise self._refusal(error) from None
        self._drain(end)
        certificate = self._tls.getpeercert(binary_form=True)
        names = self._tls.getpeercert() or {}
        roles = [
            str(value).removeprefix(_ROLE_PREFIX)
            for kind, value in names.get("subjectAltName", ())
            if kind == "URI" and str(value).startswith(_ROLE_PREFIX)
        ]
        self.role = roles[0] if len(roles) == 1 else "(none)"
        self.identity = hashlib.sha256(certificate or b"").hexdigest()

    def exchange(self, out: bytes, n_in: int) -> bytes:
        """Send `out` and meanwhile receive `n_in` bytes; fewer only where the peer has ended the stream."""
        view, sent = memoryview(out), 0
        result, got = bytearray(n_in), 0
        into = memoryview(result)
        while sent < len(view) or self._unsent or self._outgoing.pending or got < n_in:
            moved = False
            while sent < len(view) and self._outgoing.pending < _PENDING:
                sent += self._tls.write(view[sent : sent + _RECORD])
            try:
                while got < n_in:
                    n = int(self._tls.read(min(_RECORD, n_in - got), into[got:]))  # type: ignore[arg-type]
                    if n == 0:
                        return bytes(into[:got])
                    got += n
                    moved = True
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return bytes(into[:got])
            except ssl.SSLError as error:
                raise self._refusal(error) from None
            reading = got < n_in or self._incoming.pending < _READ_AHEAD
            moved |= self._move(reading, needed=got < n_in)
            finished = sent == len(view) and not self._unsent and not self._outgoing.pending and got == n_in
            if not moved and not finished:
                self._wait(reading, time.monotonic() + self._timeout, f"{n_in - got} more bytes")
        return bytes(result)

    def close(self) -> None:
        """Nothing more goes either way."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _move(self, reading: bool, needed: bool = False) -> bool:
        """Carry ciphertext between the socket and TLS as far as goes without waiting; whether any moved.

        A peer that no longer takes input may have said why: with input `needed`, reading goes on to its end.
        """
        moved = False
        try:
            while self._unsent or self._outgoing.pending:
                if not self._unsent:
                    self._unsent = memoryview(self._outgoing.read(_PENDING))
                n = self._sock.send(self._unsent)
                self._unsent = self._unsent[n:]
                moved = True
        except BlockingIOError:
            pass
        except OSError:
            if not (reading and needed):
                raise ProtocolError(f"{self._peer} closed the connection") from None
        if reading and not self._incoming.eof:
            try:
                data = self._sock.recv(1 << 18)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
                moved = True
            except BlockingIOError:
                pass
            except OSError:
                self._incoming.write_eof()
                moved = True
        return moved

    def _drain(self, end: float) -> None:
        while self._unsent or self._outgoing.pending:
            if not self._move(reading=False):
                self._wait(reading=False, end=end, missing="room to send")

    def _wait(self, reading: bool, end: float, missing: str) -> None:
        poll = select.poll()
        events = (select.POLLIN if reading and not self._incoming.eof else 0) | (select.POLLOUT if self._unsent else 0)
        poll.register(self._sock, events)
        if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
            raise ProtocolError(f"{self._peer} was silent for {self._timeout:g} s: expected {missing}")

    def _refusal(self, error: ssl.SSLError) -> ProtocolError:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        if isinstance(error, ssl.SSLCertVerificationError):
            return ProtocolError(
                f"the certificate of {self._peer} is refused: expected one of our authority, came one with: "
                f"{error.verify_message}"
            )
        if isinstance(error, ssl.SSLEOFError):
            return ProtocolError(f"{self._peer} closed the connection: expected its part of the TLS handshake")
        if "alert" in reason:
            return ProtocolError(
                f"{self._peer} refused our certificate: expected it to know our authority, came {reason}"
            )
        return ProtocolError(f"{self._peer} does not speak TLS 1.3 here: expected a TLS 1.3 record, came {reason}")
