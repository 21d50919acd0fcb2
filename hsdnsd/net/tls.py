"""DNS over TLS towards upstreams (RFC 7858, strict: the server's name is verified). No sockets."""

from __future__ import annotations

import ssl
from typing import Final

from hsdnsd.errors import StartError

# Read out of what was decrypted at once; a TLS record holds at most 16 KiB.
_READ: Final = 16 << 10


def client_context(ca_file: str = "") -> ssl.SSLContext:
    """How upstreams are verified: against the system's authorities, or those in a file of PEM certificates.

    Raises:
        StartError: the file can't be read, or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        raise StartError(f"no certificate authorities from {ca_file}: {explain(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def explain(error: OSError) -> str:
    """What went wrong, in words for a person."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not verify: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error.args[-1]}"
    return error.strerror or str(error)


class Clear:
    """Octets as they are: TCP without TLS. What `Tls` says of its members holds here too."""

    __slots__ = ()

    ready = True
    session = None

    def encode(self, octets: bytes | bytearray) -> bytes:
        return bytes(octets)

    def decode(self, octets: bytes) -> bytes:
        return octets

    def take_outgoing(self) -> bytes:
        return b""


class Tls:
    """One TLS connection, between the octets of the socket and those of DNS.

    The caller sends what `take_outgoing` gives, at first and after every call.

    Attributes:
        ready: the handshake is done and the server is who it should be; before that nothing can be encoded.
    """

    __slots__ = ("_incoming", "_object", "_outgoing", "ready")

    def __init__(self, context: ssl.SSLContext, name: str, session: ssl.SSLSession | None) -> None:
        """
        Args:
            name: what the certificate has to be for.
            session: of an earlier connection to the same server.
        """
        self.ready = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name, session=session)
        self._shake_hands()

    @property
    def session(self) -> ssl.SSLSession | None:
        """What lets the next connection to this server do without a whole handshake."""
        return self._object.session

    def encode(self, octets: bytes | bytearray) -> bytes:
        """What is to be sent so that the server reads these octets. Only when `ready`."""
        self._object.write(octets)
        return self._outgoing.read()

    def decode(self, octets: bytes) -> bytes:
        """What the server wrote, out of octets of the socket, cut in any way.

        Raises:
            OSError: it is not TLS, the certificate does not verify, or the server ends the connection.
        """
        self._incoming.write(octets)
        if not self.ready:
            self._shake_hands()
        return self._read() if self.ready else b""

    def take_outgoing(self) -> bytes:
        """What TLS itself has to say to the server."""
        return self._outgoing.read()

    def _shake_hands(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.ready = True

    def _read(self) -> bytes:
        octets = b""
        while True:
            try:
                part = self._object.read(_READ)
            except ssl.SSLWantReadError:
                return octets
            except ssl.SSLZeroReturnError:
                part = b""
            if not part:  # close_notify
                if octets:
                    return octets  # the end of the connection follows
                raise ConnectionError("connection closed")
            octets += part
