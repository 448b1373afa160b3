"""Disks that know less than was acknowledged: quarantine, and what an operator accepts."""
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import msgpack  # noqa: E402
from cluster import EvenkeelTest  # noqa: E402
from fake_worker import DENIED, OK, REFUSED, SERVING, STALE, WELCOME, FakeWorker  # noqa: E402
from thin_client import WRITE  # noqa: E402

LOSS, UNKNOWN = 43, 4
BEYOND = 1 << 32


class FakeDisks(EvenkeelTest):
    """Fake workers with a real broker, whose durable state is RocksDB's, and the real command line."""

    def setUp(self):
        self.cluster = self.own_cluster(workers=0, shards=2, broker_flags=["--liveness", "10s"])
        self.client = self.cluster.raw()

    def put(self, number, key=b"k"):
        self.client.send(msgpack.packb([1, 3, [[number, WRITE, 0, None, msgpack.packb([[1, key, b"v"]])]]]))

    def answers(self, count):
        replies = []
        while len(replies) < count:
            _, kind, more = msgpack.unpackb(self.client.recv())
            self.assertEqual(kind, 4)
            replies += more
        return {reply[0]: reply[1] for reply in replies}

    def acknowledged(self, worker, number):
        """One write that is answered; its job."""
        self.put(number)
        (job,) = worker.jobs()
        worker.reply(job)
        self.assertEqual(self.answers(1), {number: OK})
        return job

    def shard(self, number):
        return self.cluster.query("shards")["shards"][number]

    def alarms(self):
        return {alarm["code"] for alarm in self.cluster.query("stats")["alarms"]}

    def restart_broker(self):
        self.cluster.broker.kill()
        self.cluster.start_broker()
        self.client = self.cluster.raw()

    def test_a_position_below_the_floor_is_quarantined_until_the_loss_is_accepted(self):
        worker = FakeWorker(self.cluster)
        worker.join()
        job = [self.acknowledged(worker, number) for number in range(3)][-1]
        number = job["shard"]
        floor = job["position"]
        self.cluster.wait_stats(lambda stats: stats["shards"][number]["position"] == floor)
        self.cluster.broker.stop()  # writes the floor
        self.cluster.start_broker()
        self.client = self.cluster.raw()
        worker.reconnect()
        worker.welcome().report([[number, job["epoch"], floor - 1, SERVING], [1 - number, 1, 0, SERVING]])
        worker.heartbeat()
        self.cluster.wait_stats(lambda stats: stats["shards"][number]["state"] == "quarantined" and stats["workers"][0]["state"] == "quarantined")
        self.assertLessEqual({"position_below_floor", "quarantined"}, self.alarms())
        self.put(7)
        self.restart_broker()
        self.assertEqual(self.shard(number)["state"], "quarantined")
        self.assertIn("quarantined", self.alarms())
        worker.reconnect()
        worker.welcome().report([[number, job["epoch"], floor - 1, SERVING], [1 - number, 1, 0, SERVING]])
        worker.heartbeat()
        self.put(8)
        self.assertEqual(self.cluster.cli("accept-loss", str(1 - number))[0], 4)
        code, (answer,) = self.cluster.cli("accept-loss", str(number))
        self.assertEqual((code, answer["status"], answer["shard"]), (0, "ok", number))
        self.assertEqual(answer["position"], floor + BEYOND)
        losses = worker.receive(LOSS)[3]
        self.assertEqual([loss[:3] for loss in losses], [[number, answer["epoch"], floor + BEYOND]])
        self.assertNotEqual(self.shard(number)["state"], "serving")
        worker.send(37, [[number, answer["epoch"], floor + BEYOND, SERVING]])
        (waiting,) = worker.jobs()
        self.assertEqual((waiting["position"], waiting["epoch"]), (floor + BEYOND + 1, answer["epoch"]))
        worker.reply(waiting)
        self.assertEqual(self.answers(1), {8: OK})
        self.assertFalse({"position_below_floor", "quarantined"} & self.alarms())
        self.assertTrue(self.cluster.query("stats")["ledger_balanced"])

    def test_an_incarnation_below_the_known_one_quarantines_and_what_was_sent_ends_unknown(self):
        worker = FakeWorker(self.cluster)
        worker.incarnation = 5
        worker.join()
        self.put(1)
        (job,) = worker.jobs()
        self.put(2)
        worker.jobs()
        worker.incarnation = 4
        worker.reconnect()
        worker.welcome().report([[job["shard"], job["epoch"], 0, SERVING]])
        worker.heartbeat()
        self.put(3)
        self.cluster.wait_stats(lambda stats: all(shard["state"] == "quarantined" for shard in stats["shards"]))
        self.assertIn("incarnation_below", self.alarms())
        self.assertEqual(self.cluster.cli("accept-loss", str(job["shard"]))[0], 0)
        self.assertEqual(self.answers(2), {1: UNKNOWN, 2: UNKNOWN})
        (loss,) = worker.receive(LOSS)[3]
        worker.send(37, [[loss[0], loss[1], loss[2], SERVING]])
        (waiting,) = worker.jobs()
        worker.reply(waiting)
        self.assertEqual(self.answers(1), {3: OK})
        stats = self.cluster.query("stats")
        self.assertTrue(stats["ledger_balanced"])
        self.assertEqual(stats["given_back_jobs"], 2)
        self.assertEqual(self.shard(1 - job["shard"])["state"], "quarantined")

    def test_a_cloned_worker_is_found_out(self):
        one, two = FakeWorker(self.cluster), FakeWorker(self.cluster)
        two.id = one.id
        one.join()
        for turn in range(10):
            worker = two if turn % 2 == 0 else one
            kind, *fields = worker.hello()
            while kind == REFUSED and fields[0] == STALE:  # to what it said while the other one had the link
                kind, *fields = worker.receive(WELCOME, REFUSED)
            if kind == REFUSED:
                break
        self.assertEqual((kind, fields[0]), (REFUSED, DENIED))
        self.assertIn("cloned", fields[1])
        self.assertIn("worker_cloned", self.alarms())
        self.assertEqual([shard["state"] for shard in self.cluster.query("shards")["shards"]], ["quarantined"] * 2)
        kind, *_ = (one if turn % 2 == 0 else two).hello()
        self.assertEqual(kind, WELCOME)


class RealDisks(EvenkeelTest):
    def keys_of(self, cluster, count=200):
        return [b"key%d" % i for i in range(count)]

    def wait_serving(self, cluster):
        cluster.wait_stats(lambda stats: stats["shards_unavailable"] == 0)

    def test_a_disk_that_was_rolled_back(self):
        cluster = self.own_cluster(workers=1, shards=4)
        store, keys = cluster.store(), self.keys_of(None)
        for key in keys[:100]:
            store.put(key, b"old")
        cluster.workers["w1"].stop()
        shutil.copytree(cluster.directory / "w1", cluster.directory / "copy")
        cluster.start_worker("w1")
        for key in keys:
            store.put(key, b"new")
        cluster.wait_stats(lambda stats: True)
        cluster.workers["w1"].stop()
        shutil.rmtree(cluster.directory / "w1")
        shutil.move(cluster.directory / "copy", cluster.directory / "w1")
        cluster.start_worker("w1")  # its incarnation is the known one: the floors tell
        stats = cluster.wait_stats(lambda stats: all(shard["state"] == "quarantined" for shard in stats["shards"]))
        self.assertEqual(stats["workers"][0]["state"], "quarantined")
        self.assertEqual(cluster.cli("get", "key1", "--timeout", "500ms")[0], 3)
        for shard in range(4):
            self.assertEqual(cluster.cli("accept-loss", str(shard))[0], 0)
        self.wait_serving(cluster)
        for number, key in enumerate(keys):
            found = store.get(key)
            self.assertEqual(found and found[0], b"old" if number < 100 else None)
            self.assertGreater(store.put(key, b"newer"), BEYOND)
        cluster.kill_all()
        cluster.start_all()
        self.wait_serving(cluster)
        store = cluster.store()
        for key in keys:
            self.assertEqual(store.get(key)[0], b"newer")
        self.assertTrue(cluster.query("stats")["ledger_balanced"])
        self.assertEqual(cluster.cli("incr", "counter")[1][0]["value"], 1)
        cluster.stop()

    def test_a_disk_that_is_gone_and_comes_back(self):
        cluster = self.own_cluster(workers=2, shards=4)
        store, keys = cluster.store(), self.keys_of(None)
        for key in keys:
            store.put(key, b"v")
        holder = {shard["shard"]: shard["worker"] for shard in cluster.query("shards")["shards"]}
        self.assertEqual(set(holder.values()), {"w1", "w2"})
        self.assertEqual(cluster.cli("forget", "w2", "--accept-loss")[0], 4)  # it is connected
        cluster.workers["w2"].kill()
        cluster.wait_stats(lambda stats: stats["workers_up"] == 1)
        code, (answer,) = cluster.cli("forget", "w2")
        self.assertEqual((code, answer["status"]), (4, "denied"))
        self.assertIn("--accept-loss", answer["error"])
        code, (answer,) = cluster.cli("forget", "w2", "--accept-loss")
        self.assertEqual((code, answer), (0, {"status": "ok", "shards": 2}))
        self.wait_serving(cluster)
        stats = cluster.query("full")
        self.assertEqual((stats["workers_known"], {shard["worker"] for shard in stats["shards"]}), (1, {"w1"}))
        lost = {key for key in keys if store.get(key) is None}
        self.assertTrue(0 < len(lost) < len(keys), len(lost))
        for key in lost:
            self.assertGreater(store.put(key, b"again"), BEYOND)
        cluster.start_worker("w2")  # it was away after all
        stats = cluster.wait_stats(lambda stats: "rows_aside" in {alarm["code"] for alarm in stats["alarms"]})
        self.assertEqual({shard["worker"] for shard in stats["shards"]}, {"w1"})
        cluster.kill_all()
        cluster.start_all()
        cluster.wait_stats(lambda stats: stats["workers_up"] == 2 and stats["shards_unavailable"] == 0 and
                           "rows_aside" in {alarm["code"] for alarm in stats["alarms"]})
        store = cluster.store()
        for key in keys:
            self.assertEqual(store.get(key)[0], b"again" if key in lost else b"v")
        cluster.stop()

    def test_a_cloned_directory(self):
        cluster = self.own_cluster(workers=1, shards=4)
        store = cluster.store()
        store.put(b"k", b"v")
        cluster.workers["w1"].stop()
        shutil.copytree(cluster.directory / "w1", cluster.directory / "w2")
        one = cluster.start_worker("w1", wait=False)
        two = cluster.start_worker("w2", wait=False)
        cluster.wait_stats(lambda stats: all(shard["state"] == "quarantined" for shard in stats["shards"]))
        codes = cluster.wait_stats(lambda stats: None not in (one.child.poll(), two.child.poll()) or
                                   (one.child.poll(), two.child.poll()) != (None, None))
        self.assertIn("worker_cloned", {alarm["code"] for alarm in codes["alarms"]})
        ended = one if one.child.poll() is not None else two
        self.assertEqual(ended.wait_end(), 1)
        self.assertIn("cloned", ended.logged())


if __name__ == "__main__":
    unittest.main()
