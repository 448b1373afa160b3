"""Rows that expire, in a store that nobody writes to any more."""
import os
import struct
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import rocks  # noqa: E402
from cluster import EvenkeelTest  # noqa: E402


class IdleShards(EvenkeelTest):
    def test_their_stamps_move_until_the_last_row_has_expired(self):
        cluster = self.own_cluster(workers=1, shards=2)
        code, _ = cluster.cli("put", "short", "v", "--ttl", "12s")
        self.assertEqual(code, 0)
        shards = cluster.query("shards")["shards"]
        (written,) = [shard["shard"] for shard in shards if shard["position"]]

        def position(stats):
            return stats["shards"][written]["position"]
        # One empty write after 10 s, another 10 s later: then the stamp has passed the expiry, also after a restart of both.
        cluster.wait_stats(lambda stats: position(stats) == 2, 30)
        cluster.kill_all()
        cluster.start_all()
        stats = cluster.wait_stats(lambda stats: position(stats) == 3, 40)
        self.assertTrue(stats["ledger_balanced"])
        self.assertEqual(stats["shards"][1 - written]["position"], 0)
        self.assertEqual(cluster.cli("get", "short")[0], 1)
        quiet_until = stats["time_unix_ms"] + 11000
        stats = cluster.wait_stats(lambda stats: stats["time_unix_ms"] > quiet_until, 40)
        self.assertEqual(position(stats), 3)
        cluster.stop()


class LateStart(EvenkeelTest):
    """A broker that starts more than a day after what it knows of."""
    DAY_MS = 24 * 3600 * 1000

    def late_cluster(self):
        cluster = self.own_cluster(workers=0)
        cluster.broker.stop()
        with rocks.opened(cluster.directory / "broker") as store:
            (at,) = struct.unpack(">Q", store.get("default", b"ceiling"))
            store.put("default", b"ceiling", struct.pack(">Q", at - 3 * self.DAY_MS))
        cluster.start_broker()
        cluster.start_worker("w1")
        return cluster

    def is_late(self, stats):
        return stats["time_unix_ms"] < time.time() * 1000 - 2 * self.DAY_MS

    def assert_on_time(self, cluster):
        stats = cluster.wait_stats(lambda stats: not self.is_late(stats) and not stats["alarms"])
        self.assertLess(abs(stats["time_unix_ms"] - time.time() * 1000), 5000)

    def test_its_time_goes_on_from_the_clock_when_that_is_accepted(self):
        cluster = self.late_cluster()
        stats = cluster.wait_stats(lambda stats: "clock_step" in {alarm["code"] for alarm in stats["alarms"]})
        self.assertTrue(self.is_late(stats))
        self.assertEqual(cluster.cli("put", "short", "v", "--ttl", "1d")[0], 0)
        code, lines = cluster.cli("accept-clock")
        self.assertEqual((code, lines[0]["status"]), (0, "ok"))
        self.assertGreater(lines[0]["jump_ms"], 2 * self.DAY_MS)
        self.assert_on_time(cluster)
        self.assertEqual(cluster.cli("get", "short")[0], 1)
        code, lines = cluster.cli("accept-clock")
        self.assertEqual((code, lines[0]["status"]), (4, "denied"))
        cluster.kill_all()
        cluster.start_all()
        self.assert_on_time(cluster)


if __name__ == "__main__":
    unittest.main()
