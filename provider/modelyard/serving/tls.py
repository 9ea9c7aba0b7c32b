"""Certificates: what a server shows, and what it asks its clients for."""

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modelyard.serving.errors import CertificateInvalid
from modelyard.serving.field_types import check_types

if TYPE_CHECKING:
    import grpc

__all__ = ["Certificates"]


class Certificates(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The paths of a server's certificates, in PEM form.

    Parameters
    ----------
    certificate
        The server's own, with the chain behind it.
    key
        The private key of it.
    clients
        The authorities whose certificates clients must show; empty asks clients for none.
    """

    certificate: str
    key: str
    clients: str = ""

    def __post_init__(self) -> None:
        check_types(self)

    def context(self) -> ssl.SSLContext:
        """Return what HTTP is encrypted with: TLS 1.2 or later.

        Raises
        ------
        CertificateInvalid
            A file is not there, or not what it should be.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.clients:
                context.load_verify_locations(self.clients)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:
            raise CertificateInvalid(self._paths(), error.strerror or str(error)) from error
        return context

    def credentials(self) -> "grpc.ServerCredentials":
        """Return what gRPC is encrypted with.

        Raises
        ------
        CertificateInvalid
            A file is not there, or not what it should be.
        """
        import grpc

        self.context()  # grpc accepts anything, and then answers nobody
        authorities = Path(self.clients).read_bytes() if self.clients else None
        pair = (Path(self.key).read_bytes(), Path(self.certificate).read_bytes())
        return grpc.ssl_server_credentials([pair], authorities, require_client_auth=bool(self.clients))

    def _paths(self) -> str:
        return ", ".join(each for each in (self.certificate, self.key, self.clients) if each)
