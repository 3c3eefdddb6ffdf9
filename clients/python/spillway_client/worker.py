"""A worker: takes jobs of one type, one at a time, and runs functions for them.

The body runs in the thread that called `run`; another one listens, so that a cancel reaches a body that looks at its
context, and a heartbeat is answered meanwhile. When the connection ends while a body runs, its context is cancelled: the
job goes to somebody else.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import queue
import random
import ssl
import threading
import time
import traceback
from typing import Any, Callable, Dict, NoReturn, Optional, Tuple, TypeVar, Union

from .wire import Address, Connection, GloomError, ServerError, TransportError

Body = Callable[..., Any]
F = TypeVar("F", bound=Body)


class Cancelled(Exception):
    """Raised by `context.check()` in a body that is to end."""


class NonRetryable(Exception):
    """Raised by a body whose job is not to be tried again."""


class Snooze(Exception):
    """Raised by a body that wants to run again later, in so many seconds, with no attempt spent."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"runs again in {seconds} s")
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"a snooze is a number of seconds from 0 on, got {seconds!r}")
        self.milliseconds = math.ceil(seconds * 1000)


class Context:
    """What a body may know of its job, and say while it runs."""

    def __init__(self, connection: Connection, message: Dict[str, Any]) -> None:
        about = message.get("spillway") or {}
        limit = about.get("limit") or 0
        self.id: Any = message.get("id")
        self.type: Any = message.get("type")
        self.job: Optional[str] = about.get("job")
        """The job's name on the node; None for a job of a Gloom master."""
        self.partition: Optional[str] = about.get("partition")
        self.queue: Optional[str] = about.get("queue")
        self.attempt: int = about.get("attempt", 0)
        self.deadline: Optional[float] = time.monotonic() + limit / 1000 if limit else None
        """In `time.monotonic()`; None without a limit."""
        self.reason: Optional[str] = None
        """Why it is to end: timeout, cancel, shutdown, or lost (the connection)."""
        self._extended = bool(about)
        self._cancelled = threading.Event()
        self._connection = connection

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def remaining(self) -> Optional[float]:
        """Seconds until the deadline; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def check(self) -> None:
        """Raises Cancelled when the body is to end."""
        if self.cancelled:
            raise Cancelled(self.reason)

    def wait(self, seconds: Optional[float] = None) -> bool:
        """Sleeps, but not beyond a cancel; True when there was one."""
        return self._cancelled.wait(seconds)

    def snooze(self, seconds: float) -> NoReturn:
        """Ends this run, and runs the job again later with the same attempt: raises Snooze, which is to be let through."""
        raise Snooze(seconds)

    def progress(self, value: Any) -> None:
        self._tell({"action": "progress", "value": value})

    def log(self, text: str, level: str = "info") -> None:
        self._tell({"action": "log", "level": level, "text": text})

    def _tell(self, message: Dict[str, Any]) -> None:
        if not self._extended:
            return
        try:
            self._connection.send(message)
        except TransportError:
            self._cancel("lost")

    def _cancel(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
        self._cancelled.set()


class Task:
    """A task that is started and stopped, as ROH had them: it runs until it is cancelled, or has ended by itself."""

    def start(self, body: Any, context: Context) -> Any:
        """May return at once, having started what goes on; a result other than None ends the job with it."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ends what `start` has begun."""
        raise NotImplementedError


_bodies: Dict[str, Body] = {}


def job(name: str, bodies: Optional[Dict[str, Body]] = None) -> Callable[[F], F]:
    """Makes a function, or a Task class, the body for jobs of this name.

    A function gets the job's args, and the context if it takes two. The name is the job's on the node; for what has no
    body of its own name, the one of the worker's type is taken.
    """

    def register(body: F) -> F:
        (_bodies if bodies is None else bodies)[name] = body
        return body

    return register


class Worker:
    """Serves one type on one connection, until `stop`, or until the connection ends for good."""

    def __init__(
        self,
        type: str,
        address: Address = ("127.0.0.1", 9999),
        *,
        bodies: Optional[Dict[str, Body]] = None,
        secret: Optional[str] = None,
        tls: Optional[ssl.SSLContext] = None,
        reconnect: bool = True,
        longest_wait: float = 10.0,
    ) -> None:
        self.type = type
        self._address = address
        self._bodies = _bodies if bodies is None else bodies
        self._secret = secret
        self._tls = tls
        self._reconnect = reconnect
        self._longest_wait = longest_wait
        self._stopping = threading.Event()
        self._connection: Optional[Connection] = None
        self._context: Optional[Context] = None

    def run(self) -> None:
        """Returns after `stop`. Raises TransportError without `reconnect`, ServerError when it is refused."""
        wait = 0.1
        while not self._stopping.is_set():
            try:
                served = self._serve()
            except TransportError:
                if self._stopping.is_set():
                    return
                if not self._reconnect:
                    raise
                served = self._served
            wait = 0.1 if served else min(wait * 2, self._longest_wait)
            self._stopping.wait(wait * random.uniform(0.5, 1.0))

    def stop(self) -> None:
        """From any thread, or a signal's handler. A body that runs is told, and its job goes to somebody else."""
        self._stopping.set()
        context, connection = self._context, self._connection
        if context is not None:
            context._cancel("shutdown")
        if connection is not None:
            connection.close()

    _served = False

    def _serve(self) -> bool:
        self._served = False
        connection = Connection(self._address, secret=self._secret, tls=self._tls)
        self._connection = connection
        try:
            join: Dict[str, Any] = {"action": "join", "type": self.type, "spillway": 1}
            process = os.environ.get("SPILLWAY_WORKER")
            if process is not None:  # whoever keeps us may end us with our connection
                join["process"] = process
            connection.send(join)
            answer = connection.receive()
            if answer.get("ok") is not True:
                raise ServerError(str(answer.get("error")), answer.get("reason"))
            self._served = True
            self._work(connection)
        finally:
            connection.close()
        return True

    def _work(self, connection: Connection) -> None:
        inbox: "queue.Queue[Union[Tuple[Context, Any], GloomError]]" = queue.Queue()
        threading.Thread(target=self._listen, args=(connection, inbox), daemon=True).start()
        while True:
            got = inbox.get()
            if isinstance(got, GloomError):
                raise got if isinstance(got, TransportError) else TransportError(str(got))
            context, body = got
            if self._stopping.is_set():
                context._cancel("shutdown")
            answer = self._answer(context, body)
            self._context = None
            connection.send(answer)

    def _listen(
        self, connection: Connection, inbox: "queue.Queue[Union[Tuple[Context, Any], GloomError]]"
    ) -> None:
        """The context is made here: a cancel may come before anybody has looked at its job."""
        try:
            while True:
                message = connection.receive()
                action = message.get("action")
                if action == "job":
                    self._context = Context(connection, message)
                    inbox.put((self._context, message.get("body")))
                elif action == "ping":
                    connection.send({"action": "pong"})
                elif action == "cancel":
                    context = self._context
                    if context is not None and context.id == message.get("id"):
                        context._cancel(str(message.get("reason")))
        except GloomError as error:
            context = self._context
            if context is not None:
                context._cancel("lost")
            inbox.put(error)

    def _answer(self, context: Context, body: Any) -> Dict[str, Any]:
        try:
            value = self._perform(context, body)
            respond = {"action": "respond", "body": value}
            _check_json(value)
            return respond
        except Snooze as snooze:
            if not context._extended:
                return {"action": "respond", "body": {"error": "Snooze", "message": str(snooze)}}
            return {"action": "snooze", "delay": snooze.milliseconds}
        except Exception as error:  # whatever a body raises is its job's failure, not the worker's
            if not context._extended:
                return {"action": "respond", "body": {"error": type(error).__name__, "message": str(error)}}
            return {
                "action": "fail",
                "error": {
                    "name": type(error).__name__,
                    "message": str(error),
                    "stack": traceback.format_exc(),
                    "final": isinstance(error, NonRetryable),
                },
            }

    def _perform(self, context: Context, body: Any) -> Any:
        perform = self._bodies.get(context.job or "") or self._bodies.get(self.type)
        if perform is None:
            raise NonRetryable(f"this worker has no body for {context.job or self.type!r}")
        if isinstance(perform, type) and issubclass(perform, Task):
            return _run_task(perform(), context, body)
        return perform(body, context) if _takes_two(perform) else perform(body)


def _run_task(task: Task, context: Context, body: Any) -> Any:
    result = task.start(body, context)
    if result is not None:
        return result
    context.wait()
    task.stop()
    raise Cancelled(context.reason)


def _takes_two(body: Body) -> bool:
    parameters = inspect.signature(body).parameters.values()
    places = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return len(places) >= 2 or any(one.kind is one.VAR_POSITIONAL for one in parameters)


def _check_json(value: Any) -> None:
    json.dumps(value, allow_nan=False)
