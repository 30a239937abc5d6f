"""TLS 1.3 with mutual certificates and roles, over real sockets."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509

from moiety import ProtocolError
from moiety.private.certs import make_authority, make_certificate, tls_from
from moiety.private.link import Link
from moiety.private.tls import Tls, TlsStream
from moiety.private.transport import connect, listen, require_role

ADDRESS = "127.0.0.1:0"


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> dict[str, Tls]:
    """A certificate of each role, and a server's of another authority."""
    ours, theirs = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("theirs")
    make_authority(ours)
    make_authority(theirs)
    made = {role: make_certificate(ours, role) for role in ("server", "client", "dealer")}
    made["stranger"] = make_certificate(theirs, "server", "stranger")
    made["stranger client"] = make_certificate(theirs, "client", "client")
    return made


def meet(server: Tls, client: Tls, timeout: float = 2.0) -> tuple[Link | Exception, Link | Exception]:
    """Both ends of a connection attempt: (the server's, the client's), each a link or its error."""
    ends: list[Link | Exception] = []
    with listen(ADDRESS, tls=server) as listener:

        def accept() -> None:
            sock = listener.accept(lambda: False)
            assert sock is not None
            try:
                ends.append(listener.greet(sock, "the client", timeout))
            except Exception as error:
                ends.append(error)

        thread = threading.Thread(target=accept)
        thread.start()
        mine: Link | Exception
        try:
            mine = connect(listener.address, "the server", tls=client, timeout=timeout)
        except Exception as error:
            mine = error
        thread.join()
    return ends[0], mine


def test_roles_come_from_the_certificates(pki):
    far, near = meet(pki["server"], pki["client"])
    assert isinstance(far, Link)
    assert isinstance(near, Link)
    assert (far.role, near.role) == ("client", "server")
    assert far.identity != near.identity
    near.send("hello", a=1)
    assert far.receive("hello")["a"] == 1
    require_role(near, "server")
    with pytest.raises(ProtocolError, match="the server has a certificate of role server: expected role dealer"):
        require_role(near, "dealer")
    near.close()
    far.close()


def test_a_hundred_megabytes_both_ways_do_not_deadlock(pki):
    ends = socket.socketpair()
    streams = []
    for index, role in enumerate(("server", "client")):
        ends[index].setblocking(False)
        streams.append(TlsStream(ends[index], pki[role].context(index == 0), index == 0, "the peer", 20))
    size = 100 << 20
    data = np.random.default_rng(0).integers(0, 256, size, np.uint8).tobytes()
    digests: dict[int, str] = {}

    def exchange(index: int) -> None:
        streams[index].handshake()
        digests[index] = hashlib.sha256(streams[index].exchange(data, size)).hexdigest()

    threads = [threading.Thread(target=exchange, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for end in ends:
        end.close()
    assert digests == dict.fromkeys(range(2), hashlib.sha256(data).hexdigest())


def test_two_that_only_send_do_not_deadlock(pki):
    far, near = meet(pki["server"], pki["client"], timeout=20)
    assert isinstance(far, Link)
    assert isinstance(near, Link)
    size = 8 << 20

    def run(link: Link) -> None:
        link.send_material(bytes(size))
        link.receive_material(size)

    thread = threading.Thread(target=run, args=(far,))
    thread.start()
    run(near)
    thread.join()
    near.close()
    far.close()


@pytest.mark.parametrize(("server", "client"), [("stranger", "client"), ("server", "stranger client")])
def test_a_certificate_of_another_authority_is_refused_on_both_sides(pki, server, client):
    far, near = meet(pki[server], pki[client])
    errors = []
    for end in (far, near):
        if isinstance(end, Link):  # a TLS 1.3 client is done before the server has read its certificate
            with pytest.raises(ProtocolError) as caught:
                end.receive("hello")
            end.close()
            errors.append(str(caught.value))
        else:
            assert isinstance(end, ProtocolError)
            errors.append(str(end))
    assert any("refused: expected one of our authority, came one with" in error.replace("is ", "") for error in errors)
    assert any("refused our certificate" in error for error in errors)


def test_the_dealers_certificate_does_not_make_a_server(pki, site):
    site.dealer(address=ADDRESS, tls=pki["dealer"])
    server = site.server(address=ADDRESS, dealer=site.address("dealer"), tls=pki["dealer"])
    with pytest.raises(ProtocolError, match="the server has a certificate of role dealer: expected role server"):
        site.client(server=server.address, tls=pki["client"])


def test_a_servers_certificate_does_not_make_a_client(pki, site, logged):
    server = site.server(address=ADDRESS, dealer=site.address("dealer"), tls=pki["server"])
    with pytest.raises(ProtocolError, match="the client has a certificate of role server: expected role client"):
        site.client(server=server.address, tls=pki["server"])
    logged("the client has a certificate of role server: expected role client")


def test_an_inference_over_tls(pki, site):
    dealer = site.dealer(address=ADDRESS, tls=pki["dealer"])
    server = site.server(address=ADDRESS, dealer=dealer.address, tls=pki["server"])
    site.infer(server=server.address, dealer=dealer.address, tls=pki["client"])


def test_a_client_does_not_get_the_servers_stream(pki, site, logged):
    dealer = site.dealer(address=ADDRESS, tls=pki["dealer"])
    with connect(dealer.address, "the dealer", tls=pki["client"], timeout=2) as link:
        link.send("hello", protocol=1, role="server", program="0" * 64, ring=64, epoch="0" * 32, plan={})
        with pytest.raises(ProtocolError, match="the server has a certificate of role client: expected role server"):
            link.receive("hello")
    logged("expected role server")


def test_another_server_does_not_get_an_epochs_mask(pki, site, tmp_path):
    dealer = site.dealer(address=ADDRESS, tls=pki["dealer"])
    server = site.server(address=ADDRESS, dealer=dealer.address, tls=pki["server"])
    site.infer(server=server.address, dealer=dealer.address, tls=pki["client"])
    server.end()
    other = make_certificate(pki["server"].authority.parent, "server", "second")
    second = site.server(address=ADDRESS, dealer=dealer.address, tls=other)
    with pytest.raises(ProtocolError, match="expected the server that opened it, came another certificate"):
        site.client(server=second.address, dealer=dealer.address, tls=pki["client"])


def test_a_plain_client_is_refused(pki, site, logged):
    server = site.server(address=ADDRESS, dealer=site.address("dealer"), tls=pki["server"])
    with pytest.raises(ProtocolError):
        site.client(server=server.address)
    logged("does not speak TLS 1.3 here")


def test_a_plain_server_is_refused(pki, site, logged):
    server = site.server(address=ADDRESS, dealer=site.address("dealer"))
    with pytest.raises(ProtocolError, match="TLS"):
        site.client(server=server.address, tls=pki["client"])
    logged("does not speak this protocol")


def test_tls_1_2_is_refused(pki):
    with listen(ADDRESS, tls=pki["server"]) as listener:
        context = pki["client"].context(False)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        errors: list[Exception] = []

        def dial() -> None:
            with socket.create_connection(("127.0.0.1", listener.address.port)) as sock:
                try:
                    context.wrap_socket(sock)
                except ssl.SSLError as error:
                    errors.append(error)

        thread = threading.Thread(target=dial)
        thread.start()
        sock = listener.accept(lambda: False)
        assert sock is not None
        with pytest.raises(ProtocolError, match=r"does not speak TLS 1\.3"):
            listener.greet(sock, "the client", 2)
        thread.join()
    assert errors


def test_a_client_that_never_finishes_the_handshake_ends_within_the_timeout(pki):
    with listen(ADDRESS, tls=pki["server"]) as listener, socket.create_connection(("127.0.0.1", listener.address.port)):
        sock = listener.accept(lambda: False)
        assert sock is not None
        start = time.monotonic()
        with pytest.raises(ProtocolError, match="expected its part of the TLS handshake"):
            listener.greet(sock, "the client", 0.3)
        assert time.monotonic() - start < 2


@pytest.mark.parametrize("action", ["close", "silence"])
def test_a_peer_that_dies_or_stalls_within_tls(pki, action):
    far, near = meet(pki["server"], pki["client"], timeout=0.5)
    assert isinstance(far, Link)
    assert isinstance(near, Link)
    if action == "close":
        far.abort()
    start = time.monotonic()
    with pytest.raises(
        ProtocolError, match=r"the server.* closed the link|the server was silent for 0\.5 s: expected 24"
    ):
        near.receive("hello")
    assert time.monotonic() - start < 2
    near.close()
    far.close()


def test_keys_are_private_and_never_overwritten(tmp_path):
    make_authority(tmp_path)
    made = make_certificate(tmp_path, "client", "alice", days=30)
    for key in (made.key, tmp_path / "authority.key"):
        assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ValueError, match="is there already: expected a new name"):
        make_certificate(tmp_path, "client", "alice")
    with pytest.raises(ValueError, match="role is 'king': expected one of server, client, dealer"):
        make_certificate(tmp_path, "king")
    with pytest.raises(ValueError, match="make the authority first"):
        make_certificate(tmp_path / "empty", "client")
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["moiety:role:client"]


def test_missing_or_foreign_certificates_are_named(tmp_path, pki):
    with pytest.raises(ValueError, match=r"alice.pem, which is not there"):
        listen(ADDRESS, tls=tls_from(Path(pki["server"].authority).parent, "alice"))
    mixed = Tls(pki["server"].authority, pki["server"].certificate, pki["client"].key)
    with pytest.raises(ValueError, match="TLS refuses"):
        listen(ADDRESS, tls=mixed)
