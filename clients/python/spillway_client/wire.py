"""Gloom's wire: a length of 32 bits, big-endian, and so many bytes of JSON.

Owns one socket. Reading and writing may happen in two threads; two that write at once take turns.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from typing import Any, Dict, Optional, Tuple

MAX_FRAME = 268_435_456
Address = Tuple[str, int]


class GloomError(Exception):
    """The root of this package's errors."""


class TransportError(GloomError):
    """The connection is not there, or has ended."""


class ProtocolError(GloomError):
    """The other side said what nobody understands."""


class ServerError(GloomError):
    """The server refused: `error` and `reason` as it said them."""

    def __init__(self, error: str, reason: Any) -> None:
        super().__init__(f"{error}: {reason}")
        self.error = error
        self.reason = reason


class Connection:
    """A connection that has said the secret, if there is one."""

    def __init__(
        self,
        address: Address,
        *,
        secret: Optional[str] = None,
        tls: Optional[ssl.SSLContext] = None,
        timeout: float = 10.0,
    ) -> None:
        self._write = threading.Lock()
        try:
            plain = socket.create_connection(address, timeout=timeout)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket = plain if tls is None else tls.wrap_socket(plain, server_hostname=address[0])
        except OSError as error:
            raise TransportError(f"no connection to {address[0]}:{address[1]}: {error}") from error
        if secret is not None:
            self.send({"action": "auth", "secret": secret})
            answer = self.receive()
            if answer.get("ok") is not True:
                self.close()
                raise ServerError(str(answer.get("error")), answer.get("reason"))
        self._socket.settimeout(None)

    def send(self, message: Dict[str, Any]) -> None:
        body = json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
        try:
            with self._write:
                self._socket.sendall(struct.pack(">I", len(body)) + body)
        except OSError as error:
            raise TransportError(f"the connection has ended: {error}") from error

    def receive(self) -> Dict[str, Any]:
        (length,) = struct.unpack(">I", self._exactly(4))
        if length > MAX_FRAME:
            raise ProtocolError(f"a frame of {length} bytes")
        try:
            message = json.loads(self._exactly(length))
        except ValueError as error:
            raise ProtocolError(f"a frame that is no JSON: {error}") from error
        if not isinstance(message, dict):
            raise ProtocolError("a frame that is no object")
        return message

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self._socket.recv(min(count - len(parts), 1 << 20))
            except OSError as error:
                raise TransportError(f"the connection has ended: {error}") from error
            if not part:
                raise TransportError("the connection has ended")
            parts += part
        return bytes(parts)

    def close(self) -> None:
        """Ends it at once, also under a thread that reads."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
