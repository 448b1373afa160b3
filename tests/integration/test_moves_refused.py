"""Moves that come to nothing: a source that says what it should not, a copy without an end, and a target whose disk has no room."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import msgpack  # noqa: E402
import zmq  # noqa: E402
from cluster import PATIENCE_S, EvenkeelTest  # noqa: E402
from fake_worker import SERVING, FakeWorker  # noqa: E402
from test_disk import noise  # noqa: E402

MIB = 1 << 20
DISK_BYTES = 64 * MIB
MOVE, MOVED = 44, 46
COPY, DROP = 2, 4
COPYING = 2
COPY_ASK, COPY_CHUNK = 64, 65
HASH_OF_NOTHING = 0x2D06800538D394C2
SHARD, POSITION = 0, 7


class FakeSource(FakeWorker):
    """Holds every shard, and gives copies as the test wants them."""

    def __init__(self, cluster):
        super().__init__(cluster)
        self.copies = zmq.Context.instance().socket(zmq.ROUTER)
        cluster.sockets.append(self.copies)
        self.copies.setsockopt(zmq.LINGER, 0)
        self.endpoint = f"tcp://127.0.0.1:{self.copies.bind_to_random_port('tcp://127.0.0.1')}"
        self.join(positions=dict.fromkeys(range(cluster.shards), POSITION))
        self.beaten = time.monotonic()
        self.asks = 0
        self.attempts = set()
        self.dropped = set()

    def chunk(self, ask, number=None, attempt=None, last=0, body=b"", checksum=HASH_OF_NOTHING):
        _, _, generation, shard, wanted, chunk = ask
        memory = b"" if last else None
        return msgpack.packb([1, COPY_CHUNK, generation, shard, wanted if attempt is None else attempt,
                              chunk if number is None else number, last, 0, 0, memory, checksum, body])

    def take_order(self):
        _, kind, *fields = msgpack.unpackb(self.socket.recv())
        if kind != MOVE:
            return
        shard, attempt, step = fields[2:5]
        if step == COPY:
            self.attempts.add(attempt)
            self.send(MOVED, shard, attempt, COPYING, POSITION, 0, "")
        elif step == DROP:
            self.dropped.add(attempt)

    def run(self, answer, until):
        """Gives `answer` of an ask, a list of messages, until that holds."""
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self.copies, zmq.POLLIN)
        ends = time.monotonic() + 3 * PATIENCE_S
        while not until():
            assert time.monotonic() < ends, (self.asks, self.attempts, self.dropped)
            if time.monotonic() - self.beaten > 0.3:
                self.heartbeat()
                self.beaten = time.monotonic()
            ready = dict(poller.poll(100))
            if self.socket in ready:
                self.take_order()
            if self.copies in ready:
                peer, message = self.copies.recv_multipart()
                ask = msgpack.unpackb(message)
                assert ask[:2] == [1, COPY_ASK], ask
                self.asks += 1
                for message in answer(ask):
                    self.copies.send_multipart([peer, message])


class HostileSource(EvenkeelTest):
    def setUp(self):
        self.cluster = self.own_cluster(workers=0, shards=2)
        self.source = FakeSource(self.cluster)
        self.cluster.start_worker("w1")
        self.source.run(lambda ask: [], lambda: self.cluster.query("stats")["workers_up"] == 2)
        code, (answer,) = self.cluster.cli("move", str(SHARD), "w1")
        self.assertEqual(code, 0, answer)
        self.number = answer["move"]

    def view(self):
        (move,) = [move for move in self.cluster.query("moves")["moves"] if move["move"] == self.number]
        return move

    def end(self):
        """The learner is well, and has nothing."""
        worker = self.cluster.workers["w1"]
        self.assertIsNone(worker.child.poll())
        self.assertEqual({shard["worker"] for shard in self.cluster.query("shards")["shards"]}, {self.source.name})
        worker.stop()

    def check_refused(self, lies):
        """Each of four attempts gets nonsense first, which is nothing, and then a lie."""
        def answer(ask):
            noise_first = [b"", b"\xc1", self.source.chunk(ask, number=5), self.source.chunk(ask, attempt=1 << 40), msgpack.packb([1, 1])]
            return noise_first + [lies(ask)]
        self.source.run(answer, lambda: self.view()["phase"] == "failed")
        self.assertEqual(len(self.source.attempts), 4)
        self.assertLessEqual(self.source.asks, 8)  # the next chunk may be asked for before a lie is looked at
        self.end()
        return self.view()

    def test_a_wrong_checksum(self):
        move = self.check_refused(lambda ask: self.source.chunk(ask, body=b"rows", checksum=1))
        self.assertIn("damaged", move["error"])

    def test_entries_that_are_none(self):
        self.check_refused(lambda ask: self.source.chunk(ask, body=b"x" * MIB))

    def test_an_end_that_is_none(self):
        self.check_refused(lambda ask: self.source.chunk(ask, last=1))

    def check_too_large(self, size, error):
        def answer(ask):
            return [self.source.chunk(ask, body=bytes(size if self.source.asks == 1 else 1), checksum=1)]
        self.source.run(answer, lambda: self.view()["restarts"] > 0)
        self.assertIn(error, self.view()["error"])
        self.assertEqual(self.cluster.cli("moves", "--cancel", str(self.number))[0], 0)
        self.end()

    def test_a_chunk_beyond_the_largest_entry(self):
        self.check_too_large(16 * MIB + (129 << 10), "damaged")  # of the answer to the second ask

    def test_a_chunk_beyond_the_largest_message(self):
        self.check_too_large(21 * MIB, "did not go on")  # ZeroMQ has ended the connection

    def test_a_copy_without_an_end_is_cancelled(self):
        self.source.run(lambda ask: [self.source.chunk(ask)], lambda: self.source.asks > 200)
        self.assertEqual(self.view()["phase"], "copying")
        self.assertEqual(self.cluster.cli("moves", "--cancel", str(self.number))[0], 0)
        self.source.run(lambda ask: [], lambda: self.source.dropped == self.source.attempts)
        self.assertEqual(self.view()["phase"], "cancelled")
        self.end()


class NoRoom(EvenkeelTest):
    """The target's directory is a file system of 64 MiB."""

    def begin(self, size, *flags):
        self.cluster = self.own_cluster(workers=1, shards=2)
        self.count = size // MIB
        store = self.cluster.store()
        for n in range(self.count):
            store.put(b"{big}%d" % n, noise(n, MIB))
        self.cluster.wait_stats(lambda stats: max(shard["stored_bytes"] for shard in stats["shards"]) >= size - MIB)
        self.mount(self.cluster, "w2", DISK_BYTES)
        self.cluster.start_worker("w2", "--write-buffer", "1M", "--cache", "4M", *flags)
        sizes = {shard["shard"]: shard["stored_bytes"] for shard in self.cluster.query("shards")["shards"]}
        code, (answer,) = self.cluster.cli("move", str(max(sizes, key=sizes.get)), "w2")
        self.assertEqual(code, 0, answer)
        return answer["move"]

    def failed(self, number):
        for _ in self.cluster.snapshots(3 * PATIENCE_S):
            (move,) = [move for move in self.cluster.query("moves")["moves"] if move["move"] == number]
            if move["phase"] == "failed":
                break
        self.assertEqual(move["phase"], "failed", move)
        store = self.cluster.store()
        for n in range(self.count):
            self.assertEqual(store.get(b"{big}%d" % n)[0], noise(n, MIB))
        for worker in self.cluster.workers.values():
            self.assertIsNone(worker.child.poll())
        return move

    def test_a_shard_that_does_not_fit_is_not_begun(self):
        move = self.failed(self.begin(DISK_BYTES * 3 // 4, "--reserve", "4M"))
        self.assertEqual((move["error"], move["copied_bytes"], move["restarts"]), ("the target's disk has no room", 0, 0))
        self.cluster.stop()

    def test_a_disk_that_gets_short_under_way_ends_the_attempt_before_the_store_fails(self):
        move = self.failed(self.begin(20 * MIB, "--reserve", "48M"))
        self.assertIn("disk", move["error"])
        self.cluster.wait_stats(lambda stats: all(worker["disk_free_bytes"] > 48 * MIB for worker in stats["workers"]))  # nothing is left
        self.cluster.stop()


if __name__ == "__main__":
    unittest.main()
