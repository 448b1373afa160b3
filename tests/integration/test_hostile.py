"""Hostile messages on the clients endpoint: each is answered or ends its connection, and a decent client does not notice."""
import contextlib
import json
import os
import pathlib
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import msgpack  # noqa: E402
import zmq  # noqa: E402
from cluster import PATIENCE_S, ClusterTest  # noqa: E402
from thin_client import BUSY, OK, WRITE  # noqa: E402

VECTORS = json.loads((pathlib.Path(__file__).resolve().parents[1] / "vectors" / "messages.json").read_text(encoding="ascii"))
MIB = 1024 * 1024
REPLIES, ERROR = 4, 7
CLIENT_MESSAGES = ("hello", "jobs", "query", "admin", "close")
ALWAYS_GOOD = bytes.fromhex(VECTORS["messages"][0]["hex"])


def bytes_of(vector):
    return bytes.fromhex(vector["hex"])


def job(operations, kind=WRITE, number=1, deadline=0, route=None):
    body = operations if isinstance(operations, bytes) else msgpack.packb(operations)
    return msgpack.packb([1, 3, [[number, kind, deadline, route, body]]])


class Hostile(ClusterTest):
    options = {"workers": 1, "shards": 8}

    @contextlib.contextmanager
    def undisturbed(self):
        """A decent client that stores and reads while the body runs; everything it was told is stored must be there afterwards."""
        written, problems, over = {}, [], threading.Event()

        def work():
            store = self.cluster.store()
            try:
                while not over.is_set() or not written:
                    key = f"{self.id()}/{len(written)}".encode()
                    written[key] = store.put(key, key)
                    if store.get(key) != (key, written[key], None):
                        problems.append(key)
            except Exception as problem:  # whatever it is, the test fails with it
                problems.append(problem)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield
        finally:
            over.set()
            worker.join()
        self.assertEqual(problems, [])
        store = self.cluster.store()
        for key, version in written.items():
            self.assertEqual(store.get(key), (key, version, None))

    def memory_kib(self, process, figure):
        status = pathlib.Path(f"/proc/{process.child.pid}/status").read_text(encoding="ascii")
        return int(next(line for line in status.splitlines() if line.startswith(figure)).split()[1])

    def assert_refused(self, frames, what):
        """The answer is ERROR, or replies of which none is OK."""
        message = msgpack.unpackb(frames[-1])
        if message[1] == REPLIES:
            self.assertTrue(message[2] and all(reply[1] != OK for reply in message[2]), (what, message))
        else:
            self.assertEqual(message[:2], [1, ERROR], (what, message))
            self.assertNotEqual(message[2], OK)
            self.assertIsInstance(message[3], str)

    def exchange(self, socket, messages, under_way=1):
        """Sends messages, a list of frames each, and yields their answers in order. More than one under way only where each is answered by an
        ERROR of its own: replies share envelopes and overtake each other."""
        for start in range(0, len(messages), under_way):
            part = messages[start:start + under_way]
            for frames in part:
                socket.send_multipart(frames)
            for _ in part:
                yield socket.recv_multipart()

    def refuse_all(self, named_messages, under_way=1):
        with self.undisturbed():
            socket = self.cluster.raw()
            answers = self.exchange(socket, [[message] for _, message in named_messages], under_way)
            for (name, _), frames in zip(named_messages, answers):
                self.assert_refused(frames, name)
            socket.send(ALWAYS_GOOD)
            self.assertEqual(msgpack.unpackb(socket.recv())[:3], [1, 2, 7])

    def test_bytes_that_break_the_protocol(self):
        self.refuse_all([(vector["name"], bytes_of(vector)) for vector in VECTORS["refused_messages"]])

    def test_every_truncation_of_every_client_message(self):
        self.refuse_all([(f"{vector['name']} cut at {size}", bytes_of(vector)[:size]) for vector in VECTORS["messages"]
                         if vector["message"] in CLIENT_MESSAGES for size in range(len(bytes_of(vector)))], under_way=64)

    def test_messages_that_only_others_may_send(self):
        self.refuse_all([(vector["name"], bytes_of(vector)) for vector in VECTORS["messages"] if vector["message"] not in CLIENT_MESSAGES])

    def test_operations_that_break_the_protocol(self):
        self.refuse_all([(vector["name"], job(b"\x91" + bytes_of(vector), kind)) for vector in VECTORS["refused_operations"] for kind in (0, 1)
                         if bytes_of(vector)])

    def test_a_broken_operation_behind_good_ones(self):
        good = msgpack.packb([1, b"{t}good", b"v"])
        self.refuse_all([(vector["name"], job(b"\x92" + good + bytes_of(vector), kind)) for vector in VECTORS["refused_operations"]
                         for kind in (1, 2)])
        self.assertIsNone(self.cluster.store().get(b"{t}good"))

    def test_bodies_that_go_on_behind_their_end(self):
        self.refuse_all([("a byte behind", job(msgpack.packb([[1, b"k-behind", b"v"]]) + b"\x00"))])
        self.assertIsNone(self.cluster.store().get(b"k-behind"))

    def test_counts_one_beyond_their_limits(self):
        delete = [3, b"k"]
        self.refuse_all([("8193 jobs", msgpack.packb([1, 3, [[i, WRITE, 0, None, msgpack.packb([delete])] for i in range(8193)]])),
                         ("4097 operations", job([delete] * 4097)),
                         ("a body beyond its limit", job(msgpack.packb([delete]) + b"x" * (16 * MIB + 65536)))])

    def test_nothing_of_a_message_with_one_bad_job_is_carried_out(self):
        good = [1, WRITE, 0, None, msgpack.packb([[1, b"half", b"v"]])]
        for bad in ([2, WRITE, 0, None, b"\xc1"], [2, 9, 0, None, good[4]], [2, WRITE]):
            with self.subTest(bad=bad):
                self.refuse_all([("half", msgpack.packb([1, 3, [good, bad]]))])
                self.assertIsNone(self.cluster.store().get(b"half"))

    def test_a_job_that_names_a_shard_that_does_not_exist_or_is_not_its_keys(self):
        store = self.cluster.store()
        socket = self.cluster.raw()
        with self.undisturbed():
            for shard in range(9):
                socket.send(job([[1, b"placed", b"%d" % shard]], route=[shard, 0, 0, 0, 0]))
                _, kind, ((number, status, _, _, _),) = msgpack.unpackb(socket.recv())
                self.assertEqual((kind, number), (REPLIES, 1))
                if status == OK:
                    self.assertEqual(store.get(b"placed")[0], b"%d" % shard)
                    store.delete(b"placed")
                else:
                    self.assertIsNone(store.get(b"placed"))

    def test_producer_ids_that_were_never_issued(self):
        made_up, socket = 4097, self.cluster.raw()  # one more than a shard remembers
        with self.undisturbed():
            body = msgpack.packb([[1, b"made-up", b"v"]])
            for shard in range(8):
                jobs = [[i, WRITE, 0, [shard, 2**64 - 1 - i, 1, 1, 0], body] for i in range(made_up)]
                socket.send(msgpack.packb([1, 3, jobs]))
                answered = 0
                while answered < made_up:
                    answered += len(msgpack.unpackb(socket.recv())[2])
            for i in range(20):  # of all shards, some more than once
                code, answers = self.cluster.cli("put", f"issued-{i}", "v", timeout_s=PATIENCE_S)
                self.assertEqual((code, answers[0]["status"]), (0, "ok"), answers)

    def test_cancellations_whose_cause_is_none(self):
        """Not what says STALE, which means something else between worker and broker, nor what takes more room than a cause."""
        final = (3, 4, 5, 9, 10, 11, 12)
        with self.undisturbed():
            socket = self.cluster.raw()
            bodies = [msgpack.packb([cause]) for cause in range(18)] + [b"\x91" + bytes(15 * MIB), b"\x91\x05\x05", b"\x92\x05\x05"]
            for i, body in enumerate(bodies):
                socket.send(job(body, kind=3, route=[i % 8, 2**50 + i, 1, 1, 0]))
                _, kind, ((_, status, _, _, _),) = msgpack.unpackb(socket.recv())
                self.assertEqual((kind, status), (REPLIES, i if i in final else 3), body[:3])
            self.cluster.store().put(b"still", b"here")

    def test_other_frames_than_one(self):
        with self.undisturbed():
            socket = self.cluster.raw()
            shapes = [[ALWAYS_GOOD, b""], [ALWAYS_GOOD, ALWAYS_GOOD], [b"", b"", ALWAYS_GOOD], [b"", ALWAYS_GOOD, b"x"], [b""], [b"", b""],
                      [b"x"] * 1000, [b""] * 1000]
            for frames, answer in zip(shapes, self.exchange(socket, shapes)):
                self.assert_refused(answer, [len(frames), frames[:3]])

    def test_a_routing_id_of_ones_own(self):
        with self.undisturbed():
            for routing_id in (b"me", b"x" * 255, b"12345"):
                socket = self.cluster.raw(routing_id=routing_id)
                socket.send(ALWAYS_GOOD)
                self.assert_refused(socket.recv_multipart(), routing_id)
                socket.send(job([[1, b"forbidden", b"v"]]))
                self.assert_refused(socket.recv_multipart(), routing_id)
            self.assertIsNone(self.cluster.store().get(b"forbidden"))

    def test_the_routing_id_of_another(self):
        with self.undisturbed():
            first = self.cluster.raw(routing_id=b"twin")
            first.send(ALWAYS_GOOD)
            self.assert_refused(first.recv_multipart(), "first")
            second = self.cluster.raw(routing_id=b"twin")  # only now: of two that come at once the broker hears either
            second.send(ALWAYS_GOOD)
            self.cluster.store().put(b"still", b"here")

    def test_a_frame_of_100_mib_ends_its_connection(self):
        with self.undisturbed():
            socket = self.cluster.raw()
            socket.send(ALWAYS_GOOD)
            socket.recv()
            monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            socket.send(b"\x93\x01\x03" + bytes(100 * MIB), copy=False)
            self.assertTrue(monitor.poll(int(PATIENCE_S * 1000)), "the connection stays open")
            socket.disable_monitor()
            monitor.close()

    def test_a_frame_that_fills_the_limit_is_read(self):
        self.refuse_all([("20 MiB of nothing", bytes(20 * MIB))])

    def test_peers_that_come_and_go(self):
        with self.undisturbed():
            for turn in range(100):
                socket = self.cluster.raw()
                socket.send(ALWAYS_GOOD if turn % 2 else job([[1, b"left", b"v"]]))
                if turn % 3 == 0:
                    socket.recv()
                socket.close()
                self.cluster.sockets.remove(socket)

    def test_a_client_that_never_reads(self):
        with self.undisturbed():
            self.cluster.store().put(b"large", b"x" * MIB)
            socket = self.cluster.raw()
            read = job([[2, b"large"]], kind=0)
            for _ in range(200):
                socket.send(read)
            self.cluster.store().put(b"another", b"v")

    def test_a_client_that_takes_nothing_costs_little_memory(self):
        """It reads nothing off its connection either, so that what is sent to it stays in the broker."""
        count = 20
        self.cluster.store().put(b"largest", b"x" * 16 * MIB)
        context = zmq.Context()
        socket = context.socket(zmq.DEALER)
        socket.set(zmq.RCVHWM, 1)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.RCVTIMEO, int(PATIENCE_S * 1000))
        try:
            with self.undisturbed():
                socket.connect(self.cluster.endpoints["clients"])
                done = self.cluster.query("stats")["done_jobs"]
                for number in range(count):
                    socket.send(job([[2, b"largest"]], kind=0, number=number))
                self.cluster.wait_stats(lambda stats: stats["done_jobs"] >= done + count, timeout_s=90)
                self.assertLess(self.memory_kib(self.cluster.broker, "VmRSS"), 160 * 1024, "of the broker, for one client's replies")
                statuses = []
                while len(statuses) < count:
                    statuses += [reply[1] for reply in msgpack.unpackb(socket.recv(), max_bin_len=32 * MIB)[2]]
            self.assertEqual(set(statuses), {OK, BUSY})
        finally:
            socket.close()
            context.term()

    def test_many_reads_of_a_large_value(self):
        """A worker that gathers all their replies before it sends one is silent for long and needs their sum in memory."""
        count = 30
        self.cluster.store().put(b"largest", b"x" * 16 * MIB)
        with self.undisturbed():
            socket = self.cluster.raw()
            done = self.cluster.query("stats")["done_jobs"]
            for number in range(count):
                socket.send(job([[2, b"largest"]], kind=0, number=number))
            self.cluster.wait_stats(lambda stats: stats["done_jobs"] >= done + count and stats["workers_up"] == 1, timeout_s=90)
        self.assertLess(self.memory_kib(self.cluster.workers["w1"], "VmHWM"), 400 * 1024, "of the worker, for one client's reads")

    def test_something_that_speaks_no_zmtp(self):
        import socket as sockets
        with self.undisturbed():
            address = self.cluster.endpoints["clients"].split("//")[1].split(":")
            for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"", os.urandom(4096)):
                with sockets.create_connection((address[0], int(address[1]))) as connection:
                    connection.sendall(noise)

    def test_the_ledger_balances_after_all_this(self):
        stats = self.cluster.wait_stats(lambda stats: stats["queued_jobs"] == 0 and stats["in_flight_jobs"] == 0)
        self.assertTrue(stats["ledger_balanced"], stats)


if __name__ == "__main__":
    unittest.main()
