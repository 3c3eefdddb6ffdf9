"""Workers and producers for Spillway's Gloom gateway, in Python's standard library only."""

from .producer import Producer
from .wire import Connection, GloomError, ProtocolError, ServerError, TransportError
from .worker import Cancelled, Context, NonRetryable, Snooze, Task, Worker, job

__all__ = [
    "Cancelled",
    "Connection",
    "Context",
    "GloomError",
    "NonRetryable",
    "Producer",
    "ProtocolError",
    "ServerError",
    "Snooze",
    "Task",
    "TransportError",
    "Worker",
    "job",
]
