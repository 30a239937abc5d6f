"""Addresses, listening, connecting and frames: every refusal names what was expected and what came."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from moiety import ProtocolError
from moiety.private.link import MATERIAL, Link, PeerError, printable
from moiety.private.transport import LAN, WAN, Address, Network, connect, listen


@pytest.mark.parametrize("text", ["127.0.0.1:7100", "[::1]:7100", "unix:/tmp/a b", "host.example:1"])
def test_an_address_reads_back(text):
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize("text", ["", "host", ":80", "host:", "host:port", "host:70000", "unix:"])
def test_a_bad_address_is_refused(text):
    with pytest.raises(ValueError, match="expected host:port"):
        Address.parse(text)


def test_named_networks():
    assert Network.of("lan") == LAN
    assert Network.of("wan") == WAN
    assert Network.of(None) == Network()
    with pytest.raises(ValueError, match="network is 'moon': expected"):
        Network.of("moon")


@pytest.mark.parametrize("call", [connect, listen])
def test_plain_tcp_to_another_host_is_refused(call):
    arguments = ("192.0.2.1:9", "the server") if call is connect else ("0.0.0.0:0",)
    with pytest.raises(ValueError, match="not on this machine and no certificate was given: expected TLS"):
        call(*arguments)


def test_plain_tcp_off_the_machine_is_possible_when_asked_for():
    with listen("0.0.0.0:0", insecure_plaintext=True) as listener:
        assert listener.address.port > 0


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_an_address_in_use_is_refused(tmp_path, kind):
    first = listen("127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path}/s")
    with first, pytest.raises(OSError, match="is in use: expected a free address"):
        listen(first.address)


def test_a_dead_sockets_file_is_replaced_and_private(tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    with listen(f"unix:{tmp_path}/s"):
        assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    assert not (tmp_path / "s").exists()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    (tmp_path / "s").write_text("mine")
    with pytest.raises(OSError, match="is in use"):
        listen(f"unix:{tmp_path}/s")
    assert (tmp_path / "s").read_text() == "mine"


@pytest.mark.parametrize("address", ["unix:{}/none", "127.0.0.1:1"])
def test_connecting_to_nobody_ends_within_the_timeout(tmp_path, address):
    start = time.monotonic()
    with pytest.raises(ProtocolError, match=r"nobody answers at .* within 0.3 s: expected the server"):
        connect(address.format(tmp_path), "the server", timeout=0.3)
    assert time.monotonic() - start < 2


def test_connecting_waits_for_a_server_that_starts_later(tmp_path):
    late: list[Link] = []
    thread = threading.Thread(target=lambda: late.append(connect(f"unix:{tmp_path}/s", "the server", timeout=5)))
    thread.start()
    time.sleep(0.1)
    with listen(f"unix:{tmp_path}/s") as listener:
        sock = listener.accept(lambda: False)
        assert sock is not None
        thread.join()
        listener.greet(sock, "the client", 1).close()
    late[0].close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Callable[..., tuple[Link, Link]]]:
    """Two ends of a link: (the client's, the server's)."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(f"unix:{tmp_path}/pair"))

        def make(timeout: float = 2.0) -> tuple[Link, Link]:
            near = connect(f"unix:{tmp_path}/pair", "the server", timeout=timeout)
            sock = listener.accept(lambda: False)
            assert sock is not None
            far = listener.greet(sock, "the client", timeout)
            stack.callback(near.close)
            stack.callback(far.close)
            return near, far

        yield make


def test_control_and_material_frames_arrive_and_are_counted(pair):
    near, far = pair()
    near.send("hello", a=1, b="two")
    assert far.receive("hello", "bye") == {"type": "hello", "a": 1, "b": "two"}
    far.send_material(b"\0" * 1000)
    assert bytes(near.receive_material(1000)) == b"\0" * 1000
    far.send_material(b"")
    assert len(near.receive_material(0)) == 0
    assert near.bytes_sent == 24 + len('{"type":"hello","a":1,"b":"two"}')
    assert far.bytes_sent == 24 + 1000 + 24
    assert near.hops == far.hops == 2


def test_a_frame_of_another_kind_is_named(pair):
    near, far = pair()
    near.send("hello")
    with pytest.raises(ProtocolError, match="the client sent a control frame of type 'hello': expected bye"):
        far.receive("bye")
    near.send("hello")
    with pytest.raises(ProtocolError, match="the client sent a control frame: expected 7 bytes of material"):
        far.receive_material(7)
    near.send_material(b"123")
    with pytest.raises(ProtocolError, match="the client sent 3 bytes of material: expected 7"):
        far.receive_material(7)
    near.send_material(b"123")
    with pytest.raises(ProtocolError, match='the client sent a material frame: expected "hello"'):
        far.receive("hello")


@pytest.mark.parametrize("payload", [b"{", b"[1]", b'"hello"', b"\xff\xfe", b"[" * 100_000])
def test_control_that_is_no_object_is_refused(pair, payload):
    near, far = pair()
    near.channel.send(2, payload)
    with pytest.raises(ProtocolError, match="the client sent a control frame"):
        far.receive("hello")


BYTES = {
    "garbage": (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "does not speak this protocol"),
    "truncated header": (b"MOI1\2\0\0\0", "closed"),
    "truncated payload": (struct.pack("<4sIQQ", b"MOI1", 2, 100, 0) + b"{", "closed"),
    "unknown tag": (struct.pack("<4sIQQ", b"MOI1", 9, 0, 0), "tag of 1 to 4"),
    "too long": (struct.pack("<4sIQQ", b"MOI1", 2, 1 << 60, 0), "at most"),
    "arrival": (struct.pack("<4sIQQ", b"MOI1", 2, 2, 1 << 63) + b"{}", "clock"),
    "nothing": (b"", "closed"),
}


@pytest.mark.parametrize("case", BYTES)
def test_bytes_that_are_no_frame_are_refused(tmp_path, case):
    data, words = BYTES[case]
    with listen(f"unix:{tmp_path}/s") as listener, socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(tmp_path / "s"))
        sock = listener.accept(lambda: False)
        assert sock is not None
        with listener.greet(sock, "the client", 1) as link:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            with pytest.raises(ProtocolError, match=words) as caught:
                link.receive("hello")
            assert "the client" in str(caught.value)


def test_a_silent_peer_ends_within_the_timeout(pair):
    near, _ = pair(timeout=0.3)
    start = time.monotonic()
    with pytest.raises(ProtocolError, match=r"the server: the peer moved no byte for 0.3"):
        near.receive("hello")
    assert time.monotonic() - start < 2


def test_a_failing_party_tells_the_other_why(pair):
    near, far = pair()
    near.fail(ProtocolError("expected ring 64, came 32 \x1b[31m"))
    with pytest.raises(PeerError, match=r"the client gave up: expected ring 64, came 32 \[31m$"):
        far.receive("hello")


def test_other_errors_stay_at_home(pair):
    near, far = pair()
    near.fail(ValueError("/home/me/secret"))
    with pytest.raises(PeerError, match="met an error of its own") as caught:
        far.receive("hello")
    assert "secret" not in str(caught.value)


def test_the_reason_survives_a_peer_that_still_sends(pair):
    """The error is read although this side's own sending fails first."""
    near, far = pair()
    far.fail(ProtocolError("expected less"))
    with pytest.raises(PeerError, match="the server gave up: expected less"):
        near.send_material(b"\0" * (64 << 20))


def test_a_peer_that_does_not_read_ends_within_the_timeout(pair):
    near, _ = pair(timeout=0.3)
    with pytest.raises(ProtocolError, match="moved no byte"):
        near.channel.send(MATERIAL, b"\0" * (64 << 20))


def test_gone_sees_a_peer_that_closed(pair):
    near, far = pair()
    assert not near.gone()
    far.close()
    assert near.gone()


def test_printable_keeps_one_short_line():
    assert printable("a\n\tb\x00c") == "a b c"
    assert len(printable("x" * 10_000)) == 600
