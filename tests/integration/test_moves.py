"""Shards that move between real workers while they are read and written, and while one of those concerned is killed."""
import json
import os
import pathlib
import random
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import msgpack  # noqa: E402
import zmq  # noqa: E402
from cluster import PATIENCE_S, SLOWER, EvenkeelTest  # noqa: E402
from thin_client import OK, WRITE, Store  # noqa: E402

VECTORS = json.loads((pathlib.Path(__file__).resolve().parents[1] / "vectors" / "messages.json").read_text(encoding="ascii"))
ERROR = 7
SHARDS = 8
KEPT = [(b"kept%d" % i, bytes([i % 251]) * (i % 3000)) for i in range(4000)]
HOT = [b"hot%d" % i for i in range(64)]
MOVED = ("cleaning", "done")
MOVE_S = 2 * PATIENCE_S
HOLD_US = 250_000 * SLOWER


def store_all(cluster, rows, at_once=250):
    """Puts in envelopes, all of which must be acknowledged."""
    socket = cluster.raw()
    for start in range(0, len(rows), at_once):
        part = rows[start:start + at_once]
        socket.send(msgpack.packb([1, 3, [[i, WRITE, 0, None, msgpack.packb([[1, key, value]])] for i, (key, value) in enumerate(part)]]))
        left = set(range(len(part)))
        while left:
            for number, status, *_ in msgpack.unpackb(socket.recv())[2]:
                assert status == OK, status
                left.remove(number)


class Load(threading.Thread):
    """Puts and increments, one at a time. A job without an answer, which only a dead broker leaves, may have been applied or not."""

    def __init__(self, cluster, number, timeout_s=PATIENCE_S):
        super().__init__(daemon=True)
        self.store = Store(cluster.endpoints["clients"], timeout_ms=int(timeout_s * 1000))
        self.keys = [key for i, key in enumerate(HOT) if i % 2 == number]
        self.counters = [b"count-" + key for key in self.keys]
        self.written = {key: {None} for key in self.keys}  # what a read may find
        self.versions = dict.fromkeys(self.keys, 0)
        self.counts = {key: (0, 0) for key in self.counters}  # at least, at most
        self.random = random.Random(number)
        self.changed = threading.Condition()
        self.answered = 0
        self.over = False
        self.problem = None
        self.start()

    def put(self, key):
        value = b"%d" % self.random.getrandbits(60)
        try:
            version = self.store.put(key, value)
        except zmq.Again:
            self.written[key].add(value)
            return
        assert version > self.versions[key], (key, version, self.versions[key])
        self.written[key], self.versions[key] = {value}, version
        found = self.store.get(key) if self.random.random() < 0.2 else (value, version, None)
        assert found == (value, version, None), (key, found, value, version)

    def increment(self, key):
        least, most = self.counts[key]
        try:
            value = self.store.increment(key)
        except zmq.Again:
            self.counts[key] = (least, most + 1)
            return
        assert least + 1 <= value <= most + 1, (key, value, least, most)
        self.counts[key] = (value, value)

    def run(self):
        try:
            while not self.over:
                place = self.random.randrange(len(self.keys))
                try:
                    (self.put if self.random.random() < 0.5 else lambda _: self.increment(self.counters[place]))(self.keys[place])
                except zmq.Again:
                    continue  # a read
                with self.changed:
                    self.answered += 1
                    self.changed.notify_all()
        except Exception as problem:  # whatever it is, the test fails with it
            self.problem = problem
            with self.changed:
                self.changed.notify_all()

    def wait_more(self, count):
        with self.changed:
            wanted = self.answered + count
            assert self.changed.wait_for(lambda: self.problem or self.answered >= wanted, MOVE_S), "the load stands still"

    def end(self):
        self.over = True
        self.join()
        self.store.socket.close()
        if self.problem:
            raise self.problem


class Moves(EvenkeelTest):
    def setUp(self):
        self.cluster = self.own_cluster(workers=2, shards=SHARDS)
        self.loads = []
        self.reader = self.cluster.store()
        store_all(self.cluster, KEPT)

    def begin_load(self, **options):
        self.loads = [Load(self.cluster, number, **options) for number in range(2)]

    def holders(self):
        return {shard["shard"]: shard["worker"] for shard in self.cluster.query("shards")["shards"]}

    def move(self, shard, worker):
        code, (answer,) = self.cluster.cli("move", str(shard), worker)
        self.assertEqual((code, answer["status"]), (0, "ok"), answer)
        return answer["move"]

    def moves(self):
        return {move["move"]: move for move in self.cluster.query("moves")["moves"]}

    def wait_moves(self, numbers, phases=MOVED):
        """Until all are in one of these phases; looks once a snapshot."""
        for _ in self.cluster.snapshots(MOVE_S):
            moves = self.moves()
            if all(moves[number]["phase"] in phases for number in numbers):
                return moves
        raise AssertionError(f"still: {[moves[number] for number in numbers]}")

    def check_everything(self):
        for load in self.loads:
            load.end()
        for load in self.loads:
            for key, values in load.written.items():
                found = self.reader.get(key)
                self.assertIn(found and found[0], values, key)
                self.assertGreaterEqual(found[1] if found else 0, load.versions[key])
            for key, (least, most) in load.counts.items():
                found = self.reader.get(key)
                self.assertTrue(least <= int(found[0] if found else 0) <= most, (key, found, least, most))
        for key, value in KEPT:
            self.assertEqual(self.reader.get(key)[0], value, key)
        self.assertTrue(self.cluster.query("stats")["ledger_balanced"])

    def test_to_and_fro_under_load(self):
        self.begin_load()
        holders = self.holders()
        self.assertEqual(set(holders.values()), {"w1", "w2"})
        other = {"w1": "w2", "w2": "w1"}
        for _ in range(3):
            numbers = [self.move(shard, other[worker]) for shard, worker in holders.items()]
            moves = self.wait_moves(numbers)
            holders = {shard: other[worker] for shard, worker in holders.items()}
            self.assertEqual(self.holders(), holders)
            for number in numbers:
                self.assertEqual((moves[number]["restarts"], moves[number]["error"]), (0, None), moves[number])
                self.assertLess(moves[number]["max_write_wait_us"], HOLD_US, moves[number])
                self.assertGreater(moves[number]["copied_bytes"], 0)
        self.loads[0].wait_more(200)
        self.check_everything()
        moves = self.wait_moves(self.moves(), ("done",))  # a former owner's rows go after a while
        self.assertEqual(len(moves), 3 * SHARDS)
        self.assertTrue(all(move["ended_unix_ms"] for move in moves.values()))
        for key, value in KEPT[::7]:
            self.assertEqual(self.reader.get(key)[0], value)
        self.cluster.stop()

    def test_one_worker_gets_everything_and_the_other_may_go(self):
        self.begin_load()
        numbers = [self.move(shard, "w2") for shard, worker in self.holders().items() if worker == "w1"]
        self.wait_moves(numbers)
        self.assertEqual(set(self.holders().values()), {"w2"})
        self.cluster.workers["w1"].stop()
        self.loads[1].wait_more(200)
        self.check_everything()
        self.cluster.kill_all()
        self.cluster.start_all()
        self.cluster.wait_stats(lambda stats: stats["workers_up"] == 2 and stats["shards_unavailable"] == 0)
        self.assertEqual(set(self.holders().values()), {"w2"})
        self.loads = []
        self.check_everything()
        self.cluster.stop()

    def kill_and_start(self, victim):
        if victim == "broker":
            self.cluster.broker.kill()
            self.cluster.start_broker()
        else:
            self.cluster.workers[victim].kill()
            self.cluster.start_worker(victim)

    def test_source_learner_or_broker_die_in_the_middle(self):
        self.begin_load(timeout_s=3 * SLOWER)
        for seed in range(1, 7):
            chance = random.Random(seed)
            source, target = ("w1", "w2") if seed % 2 else ("w2", "w1")
            victim = (source, target, "broker")[seed % 3]
            with self.subTest(seed=seed, victim=victim):
                wanted = [shard for shard, worker in self.holders().items() if worker == source]
                numbers = [self.move(shard, target) for shard in wanted]
                self.loads[0].wait_more(chance.randrange(1, 60))
                self.kill_and_start(victim)
                self.cluster.wait_stats(lambda stats: stats["workers_up"] == 2 and stats["shards_unavailable"] == 0, MOVE_S)
                if victim != "broker":  # whose moves are forgotten
                    self.wait_moves(numbers)
                    self.assertTrue(all(self.holders()[shard] == target for shard in wanted))
                for load in self.loads:
                    load.wait_more(20)
                for key, value in KEPT[seed::11]:
                    self.assertEqual(self.reader.get(key)[0], value, key)
        self.check_everything()
        self.cluster.stop()

    def test_a_move_that_is_cancelled(self):
        big = [(b"{big}%d" % i, os.urandom(1 << 20)) for i in range(48)]
        store_all(self.cluster, big, at_once=4)
        self.begin_load()
        before = self.holders()
        sizes = {shard["shard"]: shard["stored_bytes"] for shard in self.cluster.wait_stats(
            lambda stats: max(shard["stored_bytes"] for shard in stats["shards"]) > len(big) << 20)["shards"]}
        shard = max(sizes, key=sizes.get)
        target = "w2" if before[shard] == "w1" else "w1"
        waiting = next(number for number, worker in before.items() if worker == before[shard] and number != shard)
        numbers = [self.move(shard, target), self.move(waiting, target)]  # one copy at a time: the second one is queued
        for number in reversed(numbers):
            self.assertEqual(self.cluster.cli("moves", "--cancel", str(number))[0], 0)
            self.assertEqual(self.moves()[number]["phase"], "cancelled")
        self.assertEqual(self.cluster.cli("moves", "--cancel", str(numbers[0]))[0], 4)
        self.assertEqual(self.holders(), before)
        began = time.monotonic()
        again = [self.move(shard, target)]
        self.wait_moves(again)
        self.assertGreater(time.monotonic() - began, 0.5)  # its rate has a limit
        self.assertEqual(self.cluster.cli("moves", "--cancel", str(again[0]))[0], 4)
        self.check_everything()
        for key, value in big:
            self.assertEqual(self.reader.get(key)[0], value)
        self.cluster.stop()

    def test_what_cannot_be_asked(self):
        holder = self.holders()[0]
        for words in (("0", holder), ("0", "w3"), (str(SHARDS), "w1")):
            self.assertNotEqual(self.cluster.cli("move", *words)[0], 0, words)
        self.assertEqual(self.moves(), {})

    def test_strangers_at_the_endpoint_for_copies(self):
        socket = zmq.Context.instance().socket(zmq.DEALER)
        self.cluster.sockets.append(socket)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, int(PATIENCE_S * 1000))
        socket.connect(self.cluster.workers["w1"].wait_ready()["listen"])
        for vector in VECTORS["messages"] + VECTORS["refused_messages"]:  # an ask is for a copy that is not there
            socket.send(bytes.fromhex(vector["hex"]))
            self.assertEqual(msgpack.unpackb(socket.recv())[:2], [1, ERROR], vector["name"])
        socket.send_multipart([b"", b"x", b"y"])
        self.assertEqual(msgpack.unpackb(socket.recv_multipart()[-1])[:2], [1, ERROR])
        numbers = [self.move(shard, "w2") for shard, worker in self.holders().items() if worker == "w1"]
        self.wait_moves(numbers)
        self.check_everything()
        self.cluster.stop()


if __name__ == "__main__":
    unittest.main()
