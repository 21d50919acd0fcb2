"""Messages on a TCP stream: two octets of length, then the message (RFC 1035 section 4.2.2). No I/O."""

from __future__ import annotations

from hsdnsd.errors import WireError
from hsdnsd.wire.const import HEADER_SIZE

LENGTH_SIZE = 2


class Frames:
    """What has been received of a stream and not yet been taken, cut in any way."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Octets as they came off the stream. The caller bounds how much it feeds before it takes."""
        self._buffer += data

    def take_untrusted(self) -> bytes | None:
        """The next whole message, or None if there is none yet.

        Raises:
            WireError: a length that no message has (RFC 7766 section 8): whatever follows can't be told apart.
        """
        buffer = self._buffer
        if len(buffer) < LENGTH_SIZE:
            return None
        end = LENGTH_SIZE + (buffer[0] << 8 | buffer[1])
        if end < LENGTH_SIZE + HEADER_SIZE:
            raise WireError("a message shorter than its header", 0)
        if len(buffer) < end:
            return None
        message = bytes(buffer[LENGTH_SIZE:end])
        del buffer[:end]  # the rest stays where it is: CPython moves a bytearray's start, not its octets
        return message

    @property
    def ready(self) -> bool:
        """Whether `take_untrusted` would give a message, or raise."""
        buffer = self._buffer
        if len(buffer) < LENGTH_SIZE:
            return False
        length = buffer[0] << 8 | buffer[1]
        return length < HEADER_SIZE or len(buffer) >= LENGTH_SIZE + length

    def __len__(self) -> int:
        """Octets that are held; 0: the stream stands between two messages."""
        return len(self._buffer)

    def clear(self) -> None:
        """Forget what was received."""
        self._buffer.clear()


def framed(message: bytes) -> bytes:
    """Length and message in one piece, so that they leave in one segment (RFC 7766 section 8)."""
    return len(message).to_bytes(LENGTH_SIZE) + message
