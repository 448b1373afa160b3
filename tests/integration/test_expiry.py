"""Rows that expire, in a store that nobody writes to any more."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

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


if __name__ == "__main__":
    unittest.main()
