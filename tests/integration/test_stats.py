"""What operators see: the stats socket and QUERY, with the fields that the contract of the command line names."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import msgpack  # noqa: E402
import zmq  # noqa: E402
from cluster import ClusterTest  # noqa: E402

STATS = """time_unix_ms generation uptime_ms version accepted_jobs done_jobs failed_jobs expired_jobs dead_jobs given_back_jobs queued_jobs
in_flight_jobs ledger_balanced refused_jobs duplicate_jobs dead_kept queued_bytes queue_limit_bytes oldest_job_age_ms reads_per_second
writes_per_second queue_wait_p50_us queue_wait_p99_us commit_p50_us commit_p99_us end_to_end_p50_us end_to_end_p99_us workers_up workers_known
workers_wanted shards_total shards_unavailable moves_active max_over_mean_load max_over_mean_bytes alarms""".split()
WORKER = """id name state address shards stored_bytes disk_used_bytes stored_keys load_ratio busy_ratio capacity reads_per_second writes_per_second
write_bytes_per_second queued_jobs queued_bytes in_flight_jobs credit_jobs credit_bytes disk_free_bytes commit_p99_us heartbeat_age_ms moves_in
moves_out safe_to_stop alarm""".split()
SHARD = """shard first_prefix last_prefix worker target_worker state epoch position queued_jobs queued_bytes oldest_job_age_ms in_flight_jobs
stored_bytes load_ratio""".split()
TEXTS = {"id", "name", "state", "address", "version", "worker", "target_worker", "alarm"}


class Stats(ClusterTest):
    options = {"workers": 2, "shards": 8}

    def setUp(self):
        store = self.cluster.store()
        for i in range(32):
            store.put(b"key%d" % i, b"v" * 100)
            store.get(b"key%d" % i)

    def check_types(self, fields, where):
        for name, value in fields.items():
            if isinstance(value, list) or value is None:
                continue
            wanted = str if name in TEXTS else bool if name in ("ledger_balanced", "safe_to_stop") else (int, float)
            self.assertIsInstance(value, wanted, (where, name))
            self.assertEqual(isinstance(value, bool), wanted is bool, (where, name))

    def test_a_snapshot_a_second_with_every_field(self):
        snapshots = self.cluster.snapshots()
        first, second = next(snapshots), next(snapshots)
        for field in STATS:
            self.assertIn(field, first)
        self.check_types(first, "stats")
        self.assertTrue(800 <= second["uptime_ms"] - first["uptime_ms"] <= 2500, (first["uptime_ms"], second["uptime_ms"]))
        for snapshot in (first, second):
            self.assertTrue(snapshot["ledger_balanced"])
            self.assertEqual(snapshot["accepted_jobs"], sum(snapshot[name] for name in STATS[5:12]))

    def test_one_who_comes_late_gets_the_next_snapshot(self):
        """Also when all others have left, and nothing was written out for a while."""
        last = next(self.cluster.snapshots())
        while self.cluster.query("stats")["uptime_ms"] < last["uptime_ms"] + 2500:
            pass
        began = time.monotonic()
        first = next(self.cluster.snapshots())
        self.assertLess(time.monotonic() - began, 2.5)
        self.assertLess(abs(first["time_unix_ms"] - time.time() * 1000), 2000)

    def test_odd_messages_of_one_subscriber_take_nothing_from_another(self):
        snapshots = self.cluster.snapshots()
        next(snapshots)
        odd = self.cluster.raw("stats", zmq.XSUB)
        for message in (b"\x00stats", b"\x00", b"\x00st", b"", b"stats", b"\x02stats", b"\x01other", b"\x00other", b"x" * 10000):
            odd.send(message)
        odd.send_multipart([b"\x00stats", b"\x00stats"])
        before = next(snapshots)
        after = next(snapshots)
        self.assertLessEqual(after["uptime_ms"] - before["uptime_ms"], 2500)

    def test_the_socket_tells_of_workers_and_shards(self):
        snapshot = next(self.cluster.snapshots())
        self.assertEqual(len(snapshot["workers"]), 2)
        self.assertEqual(len(snapshot["shards"]), 8)

    def test_figures_are_true(self):
        stats = self.cluster.wait_stats(lambda stats: stats["queued_jobs"] == 0 and stats["in_flight_jobs"] == 0)
        self.assertGreaterEqual(stats["accepted_jobs"], 64)
        self.assertEqual(stats["accepted_jobs"], stats["done_jobs"])
        self.assertEqual((stats["workers_up"], stats["workers_known"], stats["shards_total"], stats["shards_unavailable"]), (2, 2, 8, 0))
        self.assertEqual((stats["queued_bytes"], stats["dead_kept"], stats["alarms"]), (0, 0, []))
        self.assertGreater(stats["queue_limit_bytes"], 0)
        self.assertGreater(stats["end_to_end_p99_us"], 0)
        self.assertGreaterEqual(stats["end_to_end_p99_us"], stats["end_to_end_p50_us"])

    def test_queries_have_every_field(self):
        stats = self.cluster.query("stats")
        for field in STATS:
            self.assertIn(field, stats)
        self.assertNotIn("shards", stats)
        full = self.cluster.query("full")
        workers, shards = self.cluster.query("workers")["workers"], self.cluster.query("shards")["shards"]
        for rows, fields, in_full in ((workers, WORKER, full["workers"]), (shards, SHARD, full["shards"])):
            self.assertEqual(len(rows), len(in_full))
            for row in rows + in_full:
                for field in fields:
                    self.assertIn(field, row)
                self.check_types(row, "row")

    def test_workers_and_shards_are_true(self):
        workers, shards = self.cluster.query("workers")["workers"], self.cluster.query("shards")["shards"]
        self.assertEqual({worker["name"] for worker in workers}, {"w1", "w2"})
        for worker in workers:
            self.assertEqual(worker["state"], "up")
            self.assertEqual(worker["shards"], sum(shard["worker"] == worker["name"] for shard in shards))
            self.assertEqual(worker["id"], self.cluster.workers[worker["name"]].wait_ready()["id"])
            self.assertEqual(worker["address"], self.cluster.workers[worker["name"]].wait_ready()["listen"])
        self.assertEqual([shard["shard"] for shard in shards], list(range(8)))
        self.assertEqual([shard["first_prefix"] for shard in shards], [8192 * shard for shard in range(8)])
        self.assertEqual([shard["last_prefix"] for shard in shards], [8192 * shard + 8191 for shard in range(8)])
        self.assertEqual(sum(shard["position"] for shard in shards) % 32, 0)

    def test_what_cannot_be_asked_is_refused(self):
        socket = self.cluster.raw()
        for what in ("", "everything", "STATS", "stats ", "x" * 255):
            socket.send(msgpack.packb([1, 5, 77, what]))
            version, kind, number, status, _ = msgpack.unpackb(socket.recv())
            self.assertEqual((version, kind, number), (1, 6, 77))
            self.assertNotEqual(status, 0)


if __name__ == "__main__":
    unittest.main()
