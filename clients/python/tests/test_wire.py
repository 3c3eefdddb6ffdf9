"""The client against a small server of these tests, which sends what it is told, byte by byte if need be."""

import json
import os
import socket
import struct
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from spillway_client import (  # noqa: E402
    Connection, NonRetryable, Producer, ProtocolError, ServerError, Task, TransportError, Worker, job,
)


def frame(message):
    body = json.dumps(message).encode()
    return struct.pack(">I", len(body)) + body


class Server:
    """One listener; `accept` gives the next peer."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.address = self.listener.getsockname()
        self.peers = []

    def accept(self):
        peer, _ = self.listener.accept()
        peer.settimeout(20)
        self.peers.append(Peer(peer))
        return self.peers[-1]

    def close(self):
        self.listener.close()
        for peer in self.peers:
            peer.close()


class Peer:
    def __init__(self, sock):
        self.sock = sock

    def say(self, message, slowly=False):
        data = frame(message)
        for part in ([data[i : i + 1] for i in range(len(data))] if slowly else [data]):
            self.sock.sendall(part)

    def hear(self):
        (length,) = struct.unpack(">I", self.exactly(4))
        return json.loads(self.exactly(length))

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def close(self):
        self.sock.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)

    def worker(self, bodies, **more):
        worker = Worker("py", self.server.address, bodies=bodies, **more)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        self.addCleanup(lambda: (worker.stop(), thread.join(10)))
        return worker, self.joined()

    def joined(self):
        peer = self.server.accept()
        self.addCleanup(peer.close)
        self.assertEqual(peer.hear(), {"action": "join", "type": "py", "spillway": 1})
        peer.say({"ok": True, "spillway": 1})
        return peer


def a_job(id, body=None, **about):
    return {"action": "job", "id": id, "type": "py", "body": body, "spillway": {"job": "work", **about}}


class WorkerTest(Case):
    def test_a_body_gets_args_and_its_result_goes_back(self):
        bodies = {}
        job("work", bodies)(lambda args: {"twice": args * 2})
        _, peer = self.worker(bodies)
        peer.say(a_job("a", 21), slowly=True)
        self.assertEqual(peer.hear(), {"action": "respond", "body": {"twice": 42}})
        peer.say({"ok": True})
        peer.say(a_job("b", "é"))
        self.assertEqual(peer.hear(), {"action": "respond", "body": {"twice": "éé"}})

    def test_what_it_raises_fails_the_job_with_its_traceback(self):
        def work(args):
            raise NonRetryable("never") if args else ValueError("no")

        _, peer = self.worker({"work": work})
        for args, name, final in ((0, "ValueError", False), (1, "NonRetryable", True)):
            peer.say(a_job("a", args))
            said = peer.hear()
            self.assertEqual((said["action"], said["error"]["name"], said["error"]["final"]), ("fail", name, final))
            self.assertIn("in work", said["error"]["stack"])
            peer.say({"ok": True})

    def test_a_snooze_is_told_in_milliseconds_and_one_that_is_no_time_is_a_failure(self):
        def work(args, context):
            context.snooze(args)

        _, peer = self.worker({"work": work})
        for seconds, told in ((1.5, 1500), (0, 0), (0.0001, 1)):
            peer.say(a_job("a", seconds))
            self.assertEqual(peer.hear(), {"action": "snooze", "delay": told})
            peer.say({"ok": True})
        peer.say(a_job("a", -1))
        self.assertEqual(peer.hear()["error"]["name"], "ValueError")

    def test_a_result_that_is_no_json_fails_it_too_and_so_does_an_unknown_job(self):
        _, peer = self.worker({"work": lambda args: float("nan") if args else object()})
        for args, name in ((0, "TypeError"), (1, "ValueError")):
            peer.say(a_job("a", args))
            self.assertEqual(peer.hear()["error"]["name"], name)
        peer.say({"action": "job", "id": "b", "type": "py", "body": 1, "spillway": {"job": "other"}})
        self.assertEqual(peer.hear()["error"]["final"], True)

    def test_a_cancel_is_seen_by_the_body_and_a_ping_answered_meanwhile(self):
        def work(args, context):
            context.progress(0.5)
            context.log("waiting", "warn")
            self.assertTrue(0 < context.remaining <= 60)
            context.wait(20)
            context.check()

        _, peer = self.worker({"work": work})
        peer.say(a_job("a", limit=60_000, attempt=2))
        self.assertEqual(peer.hear(), {"action": "progress", "value": 0.5})
        self.assertEqual(peer.hear(), {"action": "log", "level": "warn", "text": "waiting"})
        peer.say({"action": "ping"})
        self.assertEqual(peer.hear(), {"action": "pong"})
        peer.say({"action": "cancel", "id": "another", "reason": "cancel"})
        peer.say({"action": "cancel", "id": "a", "reason": "timeout"})
        said = peer.hear()
        self.assertEqual((said["error"]["name"], said["error"]["message"]), ("Cancelled", "timeout"))

    def test_a_task_is_started_and_stopped(self):
        steps = []

        class Consumer(Task):
            def start(self, body, context):
                steps.append(("start", body))
                context.log("started")

            def stop(self):
                steps.append("stop")

        _, peer = self.worker({"work": Consumer})
        peer.say(a_job("a", "q"))
        peer.hear()
        peer.say({"action": "cancel", "id": "a", "reason": "cancel"})
        self.assertEqual(peer.hear()["error"]["name"], "Cancelled")
        self.assertEqual(steps, [("start", "q"), "stop"])

    def test_a_lost_connection_cancels_the_body_and_the_worker_comes_again(self):
        reasons = []

        def work(args, context):
            context.wait(20)
            reasons.append(context.reason)

        worker, peer = self.worker({"work": work})
        peer.say(a_job("a"))
        self.assertIsNotNone(peer)
        peer.sock.shutdown(socket.SHUT_RDWR)
        again = self.joined()
        self.assertEqual(reasons, ["lost"])
        again.say(a_job("b"))
        worker.stop()
        with self.assertRaises((EOFError, OSError)):
            while True:
                again.hear()

    def test_a_master_s_job_has_the_type_s_body_and_no_words_of_ours(self):
        def py(args, context):
            context.progress(1)
            return [args, context.job]

        _, peer = self.worker({"py": py})
        peer.say({"action": "job", "id": 5, "type": "py", "body": "x"})
        self.assertEqual(peer.hear(), {"action": "respond", "body": ["x", None]})

    def test_without_reconnect_it_raises(self):
        worker = Worker("py", self.server.address, bodies={}, reconnect=False)
        errors = []

        def run():
            try:
                worker.run()
            except TransportError as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        self.joined().close()
        thread.join(10)
        self.assertEqual(len(errors), 1)


class ProducerTest(Case):
    def producer(self, **more):
        producer = Producer(self.server.address, **more)
        self.addCleanup(producer.close)
        return producer, self.server.accept()

    def test_many_in_flight_and_results_in_any_order(self):
        producer, peer = self.producer()
        futures = [producer.submit("echo", n, priority=n) for n in range(50)]
        said = [peer.hear() for _ in futures]
        self.assertEqual([(one["body"], one["priority"]) for one in said], [(n, n) for n in range(50)])
        for one in reversed(said):
            peer.say({"ok": True, "id": one["id"]})
            peer.say({"id": one["id"], "body": one["body"] * 2})
        self.assertEqual([future.result(10) for future in futures], [n * 2 for n in range(50)])

    def test_errors_reach_their_job(self):
        producer, peer = self.producer()
        future = producer.submit("echo", 1, id="x")
        peer.hear()
        with self.assertRaises(ServerError):
            producer.submit("echo", 1, id="x")
        peer.say({"error": "job_failed", "reason": "x"})
        with self.assertRaises(ServerError) as caught:
            future.result(10)
        self.assertEqual(caught.exception.error, "job_failed")

    def test_what_has_no_result_is_submitted_again_on_a_new_connection(self):
        producer, peer = self.producer()
        future = producer.submit("echo", 1)
        first = peer.hear()
        peer.sock.shutdown(socket.SHUT_RDWR)
        again = self.server.accept()
        self.assertEqual(again.hear(), first)
        again.say({"id": first["id"], "body": "late"})
        self.assertEqual(future.result(10), "late")

    def test_a_close_ends_what_waits(self):
        producer, _ = self.producer()
        future = producer.submit("echo", 1)
        producer.close()
        with self.assertRaises(TransportError):
            future.result(10)
        with self.assertRaises(TransportError):
            producer.submit("echo", 1)


class ConnectionTest(Case):
    def connect(self, *answers, **more):
        def serve():
            peer = self.server.accept()
            for answer in answers:
                if answer == "hear":
                    peer.hear()
                else:
                    peer.sock.sendall(answer)
            peer.close()

        threading.Thread(target=serve, daemon=True).start()
        connection = Connection(self.server.address, **more)
        self.addCleanup(connection.close)
        return connection

    def test_nonsense_is_a_protocol_error(self):
        for nonsense in (b"\0\0\0\2[]", b"\0\0\0\1{", b"\xff\xff\xff\xff"):
            with self.assertRaises(ProtocolError):
                self.connect(nonsense).receive()

    def test_an_end_is_a_transport_error(self):
        with self.assertRaises(TransportError):
            self.connect(b"\0\0").receive()
        with self.assertRaises(TransportError):
            Connection(("127.0.0.1", 1))

    def test_a_secret_is_said_first_and_a_wrong_one_refused(self):
        connection = self.connect("hear", frame({"ok": True}), frame({"x": 1}), secret="s")
        self.assertEqual(connection.receive(), {"x": 1})
        with self.assertRaises(ServerError):
            self.connect("hear", frame({"error": "unauthorized", "reason": "auth"}), secret="s")

    def test_a_large_frame_comes_whole(self):
        text = "x" * 5_000_000
        self.assertEqual(self.connect(frame({"t": text})).receive(), {"t": text})


if __name__ == "__main__":
    unittest.main()
