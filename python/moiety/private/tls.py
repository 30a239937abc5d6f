"""TLS 1.3 with mutual certificates, over a socket that never blocks.

The role of a peer stands in its certificate as the URI `moiety:role:server` (client, dealer); `certs.py` makes them.
"""

from __future__ import annotations

import contextlib
import hashlib
import select
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moiety import ProtocolError

__all__ = ["Tls", "TlsStream"]

_RECORD = 16 << 10  # plaintext of one TLS record
_PENDING = 1 << 20  # ciphertext that waits for the socket
_READ_AHEAD = 64 << 20  # ciphertext taken in while this side still sends
_ROLE_PREFIX = "moiety:role:"


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
        alternatives: Any = names.get("subjectAltName", ())
        roles = [
            str(value).removeprefix(_ROLE_PREFIX)
            for kind, value in alternatives
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
                    n = int(self._tls.read(min(_RECORD, n_in - got), into[got:]))
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
