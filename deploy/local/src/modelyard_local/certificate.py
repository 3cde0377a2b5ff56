"""The one certificate of a server whose parts talk to each other over TLS. Called by `servers`.

It is its own authority: trusting it means trusting this one key, and there is no authority's key that could issue more.
"""

import ipaddress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from modelyard_local.credentials import write_private

_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # a clock that is wrong shall not matter
_NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # "no well-defined expiration date", RFC 5280 §4.1.2.5


def write_certificate(folder: Path, name: str, address: str) -> tuple[Path, Path]:
    """A new key and its certificate for both ends of a connection to `address`; where the certificate and the key lie
    (mode 0600)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), _LONG_AGO, _NEVER)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    places = folder / f"{name}.crt", folder / f"{name}.key"
    for place, content in zip(places, (certificate.public_bytes(Encoding.PEM), secret), strict=True):
        write_private(place, content.decode())
    return places
