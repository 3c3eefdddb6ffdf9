"""A producer: submits jobs to Gloom's master port, many in flight, and gets their results.

What is submitted lives as long as the connection: when that ends, what has no result is submitted again by a producer
that reconnects, under the same id.
"""

from __future__ import annotations

import ssl
import threading
import uuid
from concurrent.futures import Future
from typing import Any, Dict, Optional

from .wire import Address, Connection, GloomError, ServerError, TransportError


class Producer:
    """Thread-safe; `with Producer(…) as producer` closes it."""

    def __init__(
        self,
        address: Address = ("127.0.0.1", 9998),
        *,
        secret: Optional[str] = None,
        tls: Optional[ssl.SSLContext] = None,
        reconnect: bool = True,
    ) -> None:
        self._address = address
        self._secret = secret
        self._tls = tls
        self._reconnect = reconnect
        self._lock = threading.RLock()
        self._waiting: Dict[Any, "Future[Any]"] = {}
        self._messages: Dict[Any, Dict[str, Any]] = {}
        self._closed = threading.Event()
        self._connection = self._connect()
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> "Producer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, type: Any, body: Any, *, priority: int = 0, id: Optional[str] = None) -> "Future[Any]":
        """Returns at once; the future has the result, ServerError, or TransportError."""
        key = uuid.uuid4().hex if id is None else id
        message = {"action": "submit", "id": key, "type": type, "priority": priority, "body": body}
        future: "Future[Any]" = Future()
        with self._lock:
            if self._closed.is_set():
                raise TransportError("the producer is closed")
            if key in self._waiting:
                raise ServerError("id_exists", key)
            self._waiting[key] = future
            self._messages[key] = message
            try:
                self._connection.send(message)
            except TransportError:
                if not self._reconnect:
                    self._forget(key)
                    raise
            except ValueError:
                self._forget(key)
                raise
        return future

    def execute(self, type: Any, body: Any, *, priority: int = 0, timeout: Optional[float] = None) -> Any:
        """Submits and waits for the result."""
        return self.submit(type, body, priority=priority).result(timeout)

    def close(self) -> None:
        """What waits in the daemon is cleared there; futures without a result get TransportError."""
        self._closed.set()
        self._connection.close()
        self._fail(TransportError("the producer was closed"))

    def _connect(self) -> Connection:
        return Connection(self._address, secret=self._secret, tls=self._tls)

    def _forget(self, key: Any) -> "Optional[Future[Any]]":
        self._messages.pop(key, None)
        return self._waiting.pop(key, None)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                self._heard(self._connection.receive())
            except GloomError as error:
                self._connection.close()
                if not self._reconnect or not self._again():
                    self._closed.set()
                    return self._fail(error if isinstance(error, TransportError) else TransportError(str(error)))

    def _heard(self, message: Dict[str, Any]) -> None:
        if "body" in message:
            key, outcome = message.get("id"), None
        elif "error" in message:
            key, outcome = message.get("reason"), ServerError(str(message["error"]), message.get("reason"))
        else:
            return
        with self._lock:
            future = self._forget(key) if isinstance(key, str) else None
        if future is None or not future.set_running_or_notify_cancel():
            return
        if outcome is None:
            future.set_result(message["body"])
        else:
            future.set_exception(outcome)

    def _again(self) -> bool:
        """Connects anew, and submits again what has no result; True when it has, False when it was closed."""
        wait = 0.1
        while not self._closed.wait(wait):
            try:
                with self._lock:
                    self._connection = self._connect()
                    for message in self._messages.values():
                        self._connection.send(message)
                return True
            except TransportError:
                wait = min(wait * 2, 10.0)
            except GloomError:
                return False
        return False

    def _fail(self, error: Exception) -> None:
        with self._lock:
            futures = list(self._waiting.values())
            self._waiting.clear()
            self._messages.clear()
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
