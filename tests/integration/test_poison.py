"""Jobs that kill their worker: found among innocent ones, set aside, listed, replayed and dropped; and deaths that are nobody's fault."""
import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import msgpack  # noqa: E402
from cluster import BUILD, PATIENCE_S, EvenkeelTest  # noqa: E402
from thin_client import FAILED, OK, READ, WRITE, Refused, get  # noqa: E402

DEAD = 12
DEADLY = str(BUILD / "tests" / "chaos" / "deadly.so")


class Supervisor:
    """Starts a worker again whenever it dies, with the library that lets it die of a key, until it is told to stop."""

    def __init__(self, cluster, name, **environment):
        self.cluster, self.name, self.deaths, self.over = cluster, name, 0, False
        self.environment = {"LD_PRELOAD": DEADLY, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0", **environment}
        self.died = threading.Condition()
        self._start()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def _start(self):
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        self.worker = self.cluster.start_command(self.name, ["/usr/bin/env", *settings, *self.cluster.worker_command(self.name)])

    def _watch(self):
        while True:
            self.worker.child.wait()
            if self.over:
                return
            with self.died:
                self.deaths += 1
                self.died.notify_all()
            self._start()

    def wait_deaths(self, count):
        with self.died:
            assert self.died.wait_for(lambda: self.deaths >= count, 4 * PATIENCE_S), self.deaths

    def stop(self):
        self.over = True
        self.worker.stop()
        self.thread.join()


class Poison(EvenkeelTest):
    def supervised(self, cluster, **environment):
        supervisor = Supervisor(cluster, "w1", **environment)
        self.addCleanup(self.end, supervisor)
        return supervisor

    @staticmethod
    def end(supervisor):
        """Kills it for good, whether or not it is just being started again."""
        supervisor.over = True
        while supervisor.thread.is_alive():
            supervisor.worker.kill()
            supervisor.thread.join(0.1)

    def send(self, socket, number, key, kind=WRITE, value=b"v"):
        operation = [1, key, value] if kind == WRITE else [2, key]
        socket.send(msgpack.packb([1, 3, [[number, kind, 0, None, msgpack.packb([operation])]]]))

    def answers(self, socket, count, timeout_s=4 * PATIENCE_S):
        """The answers to `count` jobs by number: status and what is behind it."""
        done = {}
        while len(done) < count:
            self.assertTrue(socket.poll(int(timeout_s * 1000)), f"{len(done)} of {count} answers came")
            for number, status, position, _retry_ms, body in msgpack.unpackb(socket.recv())[2]:
                done[number] = (status, position, msgpack.unpackb(body) if body else None)
        return done

    def kill_by(self, cluster, key, innocent=0):
        """Sends a job that kills, in the midst of innocent ones; the answers."""
        socket = cluster.raw()
        for number in range(1, innocent + 1):
            if number == innocent // 2:
                self.send(socket, 0, key)
            self.send(socket, number, b"innocent%d" % number)
        if not innocent:
            self.send(socket, 0, key)
        return self.answers(socket, innocent + 1)

    def letters(self, cluster, *words):
        code, (answer,) = cluster.cli("dead", *(words or ("list",)))
        self.assertEqual((code, answer["status"]), (0, "ok"), answer)
        return answer["dead"]

    def test_one_among_a_thousand_is_set_aside_and_replayed(self):
        cluster = self.own_cluster(workers=0, shards=16, broker_flags=["--liveness", "1s"])
        supervisor = self.supervised(cluster)
        done = self.kill_by(cluster, b"{tag}deadly", innocent=1000)
        status, position, why = done.pop(0)
        self.assertEqual(status, DEAD)
        self.assertIn("died 3 times", why[1][1])
        self.assertEqual({answer[0] for answer in done.values()}, {OK})
        self.assertLessEqual(supervisor.deaths, 14, "1000 halved ten times, and three deaths alone")
        store = cluster.store()
        store.put(b"{tag}other", b"goes on")  # its shard
        self.assertIsNone(store.get(b"{tag}deadly"))
        stats = cluster.wait_stats(lambda stats: stats["dead_kept"] == 1)
        self.assertEqual((stats["dead_jobs"], stats["ledger_balanced"], stats["alarms"]), (1, True, []))

        letter, = self.letters(cluster)
        self.assertEqual(letter["id"], f"{letter['shard']}-{position}")
        self.assertEqual((letter["position"], letter["producer"], letter["operations"]), (position, 0, 1))
        self.assertIn("died 3 times", letter["cause"])
        self.assertLess(abs(letter["time_unix_ms"] - stats["time_unix_ms"]), 300000)
        shown, = self.letters(cluster, "show", letter["id"])
        self.assertEqual(shown["contents"], [{"op": "put", "key": "{tag}deadly", "value": "v"}])
        self.assertEqual({name: shown[name] for name in letter}, letter)

        # A replay that kills leaves everything as it is.
        deaths = supervisor.deaths
        code, (answer,) = cluster.cli("dead", "replay", letter["id"], "--timeout", "60s", timeout_s=4 * PATIENCE_S)
        self.assertEqual((code, answer["status"]), (5, "failed"), answer)
        self.assertEqual(supervisor.deaths - deaths, 3)
        self.assertEqual(self.letters(cluster), [letter])

        # It survives everything, and is applied once nothing kills any more.
        supervisor.stop()
        cluster.broker.stop()
        cluster.start_broker()
        cluster.start_worker("w1")
        self.assertEqual(self.letters(cluster), [letter])
        code, (answer,) = cluster.cli("dead", "replay", letter["id"])
        self.assertEqual((code, answer), (0, {"id": letter["id"], "operations_refused": 0, "status": "ok"}))
        value, version, _ = cluster.store().get(b"{tag}deadly")
        self.assertEqual(value, b"v")
        self.assertGreater(version, position)
        self.assertEqual(self.letters(cluster), [])
        self.assertEqual(cluster.cli("dead", "replay", letter["id"])[0], 1)
        cluster.wait_stats(lambda stats: stats["dead_kept"] == 0)

    def test_a_numbered_write_ends_dead_once_and_its_letter_can_be_dropped(self):
        cluster = self.own_cluster(workers=0, shards=4, broker_flags=["--liveness", "1s"])
        supervisor = self.supervised(cluster)
        code, (answer,) = cluster.cli("put", "deadly", "v", "--timeout", "60s", timeout_s=4 * PATIENCE_S)
        self.assertEqual((code, answer["status"]), (5, "dead"), answer)
        self.assertEqual(supervisor.deaths, 3)
        letter, = self.letters(cluster)
        self.assertGreater(letter["producer"], 0)
        code, (answer,) = cluster.cli("dead", "drop", letter["id"])
        self.assertEqual((code, answer["status"]), (0, "ok"), answer)
        for word in ("drop", "show", "replay"):
            code, (answer,) = cluster.cli("dead", word, letter["id"])
            self.assertEqual((code, answer["status"]), (1, "not_found"), answer)
        self.assertEqual(self.letters(cluster), [])
        for bad in ("", "5", "x-1", "1-", "1-x", "99999-1", "1-0"):
            self.assertEqual(cluster.cli("dead", "show", bad)[0], 2, bad)
        self.assertEqual(cluster.cli("dead", "show", "4-1")[0], 1)
        supervisor.stop()

    def test_a_read_that_kills_ends_dead_without_a_letter(self):
        cluster = self.own_cluster(workers=0, shards=4, broker_flags=["--liveness", "1s"])
        supervisor = self.supervised(cluster, DEADLY_READ="cursed", DEADLY_KEY="")
        store = cluster.store()
        store.put(b"cursed", b"v")
        socket = cluster.raw()
        self.send(socket, 1, b"cursed", kind=READ)
        status, _, why = self.answers(socket, 1)[1]
        self.assertEqual(status, DEAD)
        self.assertIn("died 3 times", why[1][1])
        self.assertEqual(supervisor.deaths, 3)
        self.assertEqual(self.letters(cluster), [])
        store.put(b"fine", b"v")
        self.assertEqual(store.get(b"fine")[0], b"v")
        stats = cluster.wait_stats(lambda stats: stats["dead_jobs"] == 1 and stats["in_flight_jobs"] == 0)
        self.assertTrue(stats["ledger_balanced"], stats)
        supervisor.stop()

    def test_a_storage_that_fails_is_no_fault_of_the_job(self):
        cluster = self.own_cluster(workers=0, shards=4, broker_flags=["--liveness", "1s"])
        supervisor = self.supervised(cluster, DEADLY_KEY="", FAILING_KEY="fails")
        socket = cluster.raw()
        self.send(socket, 1, b"fails for now")
        supervisor.wait_deaths(5)
        self.end(supervisor)
        cluster.start_worker("w1")
        self.assertEqual(self.answers(socket, 1)[1][0], OK)
        self.assertEqual(cluster.store().get(b"fails for now")[0], b"v")
        stats = cluster.wait_stats(lambda stats: not stats["alarms"])
        self.assertEqual((stats["dead_jobs"], stats["ledger_balanced"]), (0, True), stats)
        self.assertGreaterEqual(cluster.broker.logged().count("its storage failed"), 5)

    def test_killing_a_busy_worker_costs_nobody_anything(self):
        cluster = self.own_cluster(workers=1, shards=8, broker_flags=["--liveness", "1s"])
        socket = cluster.raw()
        numbers = 0
        for _ in range(3):
            for _ in range(500):
                numbers += 1
                self.send(socket, numbers, b"key%d" % numbers, value=b"x" * 1000)
            cluster.wait_stats(lambda stats: stats["accepted_jobs"] >= numbers)
            cluster.workers["w1"].kill()
            cluster.start_worker("w1")
        self.assertEqual({answer[0] for answer in self.answers(socket, numbers).values()}, {OK})
        stats = cluster.wait_stats(lambda stats: stats["in_flight_jobs"] == 0 and not stats["alarms"])
        self.assertEqual((stats["dead_jobs"], stats["dead_kept"], stats["ledger_balanced"]), (0, 0, True), stats)


class Operations(EvenkeelTest):
    @staticmethod
    def answer(store, operations):
        try:
            return store.job(READ, operations)[1]
        except Refused as refused:
            assert refused.status == FAILED, refused
            return None

    def test_what_makes_no_sense_changes_nothing(self):
        cluster = self.own_cluster(workers=1, shards=4)
        store = cluster.store()
        store.put(b"k", b"v")
        nobody = bytes(10)
        self.assertEqual(store.job(WRITE, [[8, nobody]])[1], [1])
        self.assertEqual(store.job(WRITE, [[9, nobody]])[1], [1])
        self.assertEqual(store.job(READ, [[7, b"", 1000, 0]])[1][0][:2], [0, []])
        for kind, operations in ((WRITE, [[8, nobody], [8, nobody]]), (2, [[8, nobody]]), (WRITE, [[7, b"", 1, 0]]), (READ, [[8, nobody]]),
                                 (4, [[8, nobody]])):
            with self.assertRaises(Refused) as caught:
                store.job(kind, operations)
            self.assertEqual(caught.exception.status, FAILED, operations)
        self.assertEqual(store.get(b"k")[0], b"v")
        beside = [self.answer(store, [get(b"k"), [7, bytes([shard * 64, 0]), 5, 1]]) for shard in range(4)]
        self.assertEqual([[OK, b"v"]], [results[0][:2] for results in beside if results])  # in the shard of the key
        cluster.stop()


if __name__ == "__main__":
    unittest.main()
