"""What was acknowledged is there after any end of any process; what was accepted is carried out when a worker comes."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import msgpack  # noqa: E402
from cluster import PATIENCE_S, EvenkeelTest  # noqa: E402
from thin_client import BUSY, EXPIRED, OK, WRITE, Refused, put  # noqa: E402

MIB = 1024 * 1024


def send_put(socket, number, key, value, deadline_ms=0):
    socket.send(msgpack.packb([1, 3, [[number, WRITE, deadline_ms, None, msgpack.packb([[1, key, value]])]]]))


def receive_replies(socket, timeout_s=PATIENCE_S):
    """The replies of the next envelope; none when nothing comes in time."""
    if not socket.poll(int(timeout_s * 1000)):
        return []
    _, kind, replies = msgpack.unpackb(socket.recv())
    assert kind == 4, (kind, replies)
    return replies


class Durability(EvenkeelTest):
    def test_everything_acknowledged_survives_the_death_of_all(self):
        cluster = self.own_cluster(workers=2, shards=8)
        acknowledged = {}
        for round_number in range(3):
            socket = cluster.raw()
            sent = 0
            for sent in range(1, 501):
                send_put(socket, sent, b"round%d/%d" % (round_number, sent), b"v%d" % sent)
            answered = 0
            while answered < 250:
                for number, status, version, _, _ in receive_replies(socket):
                    self.assertEqual(status, OK)
                    acknowledged[b"round%d/%d" % (round_number, number)] = (b"v%d" % number, version, None)
                    answered += 1
            cluster.kill_all()
            cluster.start_all()
            store = cluster.store()
            for key, wanted in acknowledged.items():
                self.assertEqual(store.get(key), wanted, f"{key} after {round_number + 1} deaths")
        cluster.stop()

    def test_versions_go_on_rising_after_deaths(self):
        cluster = self.own_cluster(workers=1, shards=4)
        last = 0
        for _ in range(3):
            store = cluster.store()
            for _ in range(5):
                version = store.put(b"k", b"v")
                self.assertGreater(version, last)
                last = version
            cluster.kill_all()
            cluster.start_all()

    def test_a_workers_death_costs_time_only(self):
        cluster = self.own_cluster(workers=2, shards=8, broker_flags=["--liveness", "1s"])
        store = cluster.store()
        for i in range(64):
            store.put(b"key%d" % i, b"old")
        socket = cluster.raw()
        cluster.workers["w1"].kill()
        for i in range(64):
            send_put(socket, i, b"key%d" % i, b"new")
        cluster.start_worker("w1")
        done = {}
        while len(done) < 64:
            replies = receive_replies(socket)
            self.assertTrue(replies, f"{len(done)} of 64 answers came")
            done.update((reply[0], reply[1]) for reply in replies)
        self.assertEqual(set(done.values()), {OK})
        for i in range(64):
            self.assertEqual(store.get(b"key%d" % i)[0], b"new")
        stats = cluster.wait_stats(lambda stats: stats["in_flight_jobs"] == 0)
        self.assertTrue(stats["ledger_balanced"], stats)
        cluster.stop()

    def test_a_brokers_death_is_survived_by_workers(self):
        cluster = self.own_cluster(workers=2, shards=8)
        store = cluster.store()
        versions = {b"key%d" % i: store.put(b"key%d" % i, b"v") for i in range(64)}
        for _ in range(2):
            cluster.broker.kill()
            cluster.start_broker()
            store = cluster.store()
            for key, version in versions.items():
                self.assertEqual(store.get(key), (b"v", version, None))
            self.assertGreater(store.put(b"key0", b"v"), versions[b"key0"])
            versions[b"key0"] = store.get(b"key0")[1]
        cluster.stop()

    def test_increments_are_applied_once_each_when_workers_die(self):
        cluster = self.own_cluster(workers=1, shards=2, broker_flags=["--liveness", "1s"])
        socket = cluster.raw()
        for turn in range(4):
            for number in range(100):
                body = msgpack.packb([[5, b"counter", 1]])
                socket.send(msgpack.packb([1, 3, [[turn * 100 + number, WRITE, 0, None, body]]]))
            answered = 0
            while answered < 100:
                replies = receive_replies(socket)
                self.assertTrue(replies, f"{answered} of 100 answers came")
                if answered == 0:
                    cluster.workers["w1"].kill()
                    cluster.start_worker("w1")
                answered += len(replies)
                self.assertEqual({reply[1] for reply in replies}, {OK})
        self.assertEqual(cluster.store().get(b"counter")[0], b"400")
        cluster.stop()


class Waiting(EvenkeelTest):
    def test_without_workers_producers_get_busy_at_the_limit_and_nothing_accepted_is_lost(self):
        cluster = self.own_cluster(workers=0, shards=4, broker_flags=["--max-queue", "64M"])
        socket = cluster.raw()
        value = b"x" * MIB
        busy = []
        sent = 0
        while not busy:
            send_put(socket, sent, b"key%d" % sent, value)
            sent += 1
            self.assertLess(sent, 100, "never busy")
            stats = cluster.query("stats")
            self.assertLessEqual(stats["queued_bytes"], stats["queue_limit_bytes"])
            while socket.poll(0):
                busy += receive_replies(socket)
        self.assertTrue(all(reply[1] == BUSY and reply[3] > 0 for reply in busy), busy)
        refused = {reply[0] for reply in busy}
        stats = cluster.wait_stats(lambda stats: stats["refused_jobs"] > 0)
        self.assertTrue(stats["ledger_balanced"], stats)
        self.assertEqual(stats["queued_jobs"], sent - len(refused))
        cluster.start_worker("w1")
        done = set()
        while len(done) < sent - len(refused):
            replies = receive_replies(socket)
            self.assertTrue(replies, f"{len(done)} answers came")
            for number, status, *_ in replies:
                self.assertEqual(status, OK)
                done.add(number)
        store = cluster.store()
        for number in range(sent):
            self.assertEqual(store.get(b"key%d" % number) is not None, number not in refused, number)
        stats = cluster.wait_stats(lambda stats: stats["queued_jobs"] == 0 and stats["in_flight_jobs"] == 0)
        self.assertTrue(stats["ledger_balanced"], stats)
        self.assertEqual(stats["queued_bytes"], 0)
        cluster.stop()

    def test_one_client_cannot_take_the_whole_queue(self):
        cluster = self.own_cluster(workers=0, shards=64, broker_flags=["--max-queue", "64M"])
        greedy = cluster.raw()
        for number in range(60):
            send_put(greedy, number, b"greedy%d" % number, b"x" * MIB)
        self.assertTrue(receive_replies(greedy))
        modest = cluster.raw()
        send_put(modest, 1, b"modest", b"x")
        self.assertEqual(modest.poll(200), 0, "the modest client is refused")
        cluster.start_worker("w1")
        self.assertEqual(receive_replies(modest)[0][:2], [1, OK])

    def test_a_deadline_that_passes_in_the_queue_is_certain(self):
        cluster = self.own_cluster(workers=0, shards=4)
        store = cluster.store()
        with self.assertRaises(Refused) as caught:
            store.job(WRITE, [put(b"late", b"v")], deadline_ms=50)
        self.assertEqual(caught.exception.status, EXPIRED)
        cluster.start_worker("w1")
        self.assertIsNone(cluster.store().get(b"late"))
        stats = cluster.wait_stats(lambda stats: stats["expired_jobs"] > 0)
        self.assertTrue(stats["ledger_balanced"], stats)

    def test_expiry_goes_on_while_everything_is_down(self):
        cluster = self.own_cluster(workers=1, shards=4)
        store = cluster.store()
        store.put(b"short", b"v", ttl_ms=1500)
        store.put(b"long", b"v", ttl_ms=86400000)
        cluster.kill_all()
        cluster.start_all()
        store = cluster.store()
        while store.get(b"short") is not None:
            pass
        self.assertLess(store.get(b"long")[2], 86400000)

    def test_a_second_worker_takes_its_part_of_an_empty_store(self):
        cluster = self.own_cluster(workers=0, shards=16)
        cluster.start_worker("w1")
        cluster.start_worker("w2")
        store = cluster.store()
        for i in range(256):
            store.put(b"key%d" % i, b"v")
        cluster.wait_stats(lambda stats: stats["workers_up"] == 2)
        shards = cluster.query("shards")["shards"]
        self.assertEqual({shard["state"] for shard in shards}, {"serving"})
        self.assertEqual({shard["worker"] for shard in shards}, {"w1", "w2"})


if __name__ == "__main__":
    unittest.main()
