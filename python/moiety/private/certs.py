"""A private certificate authority for one deployment: one authority, one certificate a party, its role inside.

    authority.pem / authority.key      keep the key off every party
    <name>.pem / <name>.key            one pair a party

The role stands in the certificate as the URI `moiety:role:server` (client, dealer), and peers check it: the dealer
hands the server's stream to a server's certificate only. Keys are Ed25519 and readable by their owner alone.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .tls import Tls

__all__ = ["ROLES", "make_authority", "make_certificate", "tls_from"]

ROLES = ("server", "client", "dealer")


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    except FileExistsError:
        raise ValueError(f"{path} is there already: expected a new name; remove it first to replace it") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _key_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(name: str, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def make_authority(directory: Path, days: int = 3650) -> Path:
    """Make `authority.pem` and `authority.key` in `directory`; the certificate's path."""
    key = Ed25519PrivateKey.generate()
    builder = _builder("moiety authority", days)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "moiety authority")])
    certificate = (
        builder.issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, None)
    )
    _write(directory / "authority.key", _key_bytes(key), 0o600)
    _write(directory / "authority.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return directory / "authority.pem"


def make_certificate(directory: Path, role: str, name: str | None = None, days: int = 365) -> Tls:
    """Make `<name>.pem` and `<name>.key` (the name is the role by default), signed by the authority in `directory`."""
    if role not in ROLES:
        raise ValueError(f"role is {role!r}: expected one of {', '.join(ROLES)}")
    name = name or role
    try:
        authority = x509.load_pem_x509_certificate((directory / "authority.pem").read_bytes())
        signer = serialization.load_pem_private_key((directory / "authority.key").read_bytes(), None)
    except FileNotFoundError as error:
        raise ValueError(f"{error.filename} is not there: make the authority first") from None
    if not isinstance(signer, Ed25519PrivateKey):
        raise ValueError(f"{directory / 'authority.key'} is a {type(signer).__name__}: expected an Ed25519 key")
    key = Ed25519PrivateKey.generate()
    certificate = (
        _builder(name, days)
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"moiety:role:{role}")]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, None)
    )
    _write(directory / f"{name}.key", _key_bytes(key), 0o600)
    _write(directory / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return tls_from(directory, name)


def tls_from(directory: Path, name: str) -> Tls:
    """The three files of the party `name` in `directory`."""
    return Tls(directory / "authority.pem", directory / f"{name}.pem", directory / f"{name}.key")
