"""`evenkeel check` against real workers: what it finds in stores that were changed behind their backs, and what it is not disturbed by."""
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import rocks  # noqa: E402
from cluster import PATIENCE_S, SLOWER, EvenkeelTest, program, run  # noqa: E402
from test_moves import Load, store_all  # noqa: E402

SHARDS = 8
ROWS = [(b"kept%d" % i, bytes([i % 251]) * (i % 500)) for i in range(2000)]
NEWER = (2**40).to_bytes(8, "big")
OTHER = {"w1": "w2", "w2": "w1"}


class Check(EvenkeelTest):
    def setUp(self):
        self.cluster = self.own_cluster(workers=2, shards=SHARDS)
        store_all(self.cluster, ROWS)

    def check(self, status="ok", **wanted):
        code, (answer,) = self.cluster.cli("check")
        self.assertEqual((code, answer["status"]), ({"ok": 0, "failed": 5}[status], status), answer)
        for name, value in {"shards_checked": SHARDS, "mismatches": 0, "rows_awaiting_deletion": 0, "foreign_rows": 0,
                            "shards_changed": 0, "shards_unavailable": 0, **wanted}.items():
            self.assertEqual(answer[name], value, (name, answer))
        self.assertEqual("error" in answer, status == "failed")
        return answer

    def holders(self):
        return {shard["shard"]: shard["worker"] for shard in self.cluster.query("shards")["shards"]}

    def move(self, shard, worker, phases):
        code, (answer,) = self.cluster.cli("move", str(shard), worker)
        self.assertEqual(code, 0, answer)
        self.wait_move(answer["move"], phases)
        return answer["move"]

    def wait_move(self, number, phases):
        for _ in self.cluster.snapshots(2 * PATIENCE_S):
            if any(move["move"] == number and move["phase"] in phases for move in self.cluster.query("moves")["moves"]):
                return
        raise AssertionError(f"move {number} never came to {phases}")

    def change(self, worker, change):
        """Stops the worker, lets `change` have its store, and starts it again."""
        self.cluster.workers[worker].stop()
        with rocks.opened(self.cluster.directory / worker) as store:
            change(store)
        self.cluster.start_worker(worker)
        self.cluster.wait_stats(lambda stats: stats["workers_up"] == 2 and stats["shards_unavailable"] == 0)

    def stop_moving(self):
        """A worker that came second is filled meanwhile, and a shard that changes hands under a check is not counted."""
        self.assertEqual(self.cluster.admin("balance", "off")[0], 0)
        self.cluster.wait_stats(lambda stats: stats["moves_active"] == 0)

    def test_a_cluster_in_order(self):
        self.stop_moving()
        answer = self.check(rows=len(ROWS), details=[])
        self.cluster.kill_all()
        self.cluster.start_all()
        self.cluster.wait_stats(lambda stats: stats["workers_up"] == 2 and stats["shards_unavailable"] == 0)
        self.assertEqual(self.check(), answer)
        self.cluster.store().delete(ROWS[0][0])
        self.check(rows=len(ROWS) - 1)
        done = run([program("evenkeel"), "--broker", self.cluster.endpoints["clients"], "check"])
        self.assertEqual(done.returncode, 0, done)
        self.assertRegex(done.stdout.decode(), r"(?m)^rows +1,999$")
        self.cluster.stop()

    def test_rows_that_cannot_be_right(self):
        def change(store):
            newer, elsewhere, unreadable = store.keys("default")[1:4]
            store.put("default", newer, store.get("default", newer)[:1] + NEWER + b"\0value")
            store.put("default", elsewhere[:2] + b"another", store.get("default", elsewhere))
            store.put("default", unreadable, b"\0")
        self.change("w1", change)
        answer = self.check("failed", rows=len(ROWS) + 1, mismatches=3)
        self.assertLessEqual({detail["worker"] for detail in answer["details"]}, {"w1"})
        self.assertEqual({self.holders()[detail["shard"]] for detail in answer["details"]}, {"w1"})
        done = run([program("evenkeel"), "--broker", self.cluster.endpoints["clients"], "check"])
        self.assertEqual(done.returncode, 5, done)
        self.assertRegex(done.stdout.decode(), r"(?m)^w1 .*unreadable")
        self.assertIn(b"FAULTS.md", done.stderr)

    def test_rows_where_the_worker_has_no_role(self):
        with_rows = []
        self.cluster.workers["w1"].stop()
        with rocks.opened(self.cluster.directory / "w1") as store:
            with_rows += [(key, store.get("default", key)) for key in store.keys("default")[1:]]
        self.cluster.start_worker("w1")
        self.change("w2", lambda store: [store.put("default", key, value) for key, value in with_rows[:5]])
        answer = self.check("failed", rows=len(ROWS), foreign_rows=5)
        self.assertEqual({(detail["worker"], self.holders()[detail["shard"]]) for detail in answer["details"]}, {("w2", "w1")})
        self.change("w2", lambda store: [store.delete("default", key) for key, _ in with_rows[:5]])
        self.check(rows=len(ROWS))

    def test_rows_that_wait_for_their_deletion(self):
        shard, source = next(iter(self.holders().items()))
        move = self.move(shard, OTHER[source], ("cleaning", "done"))
        waiting = self.check(rows=len(ROWS), rows_awaiting_deletion=self.rows_of(shard))
        self.assertGreater(waiting["rows_awaiting_deletion"], 0)
        self.wait_move(move, ("done",))
        self.check(rows=len(ROWS))

    def rows_of(self, shard):
        """By a dump of the keys: the shard's rows come in one run behind the cursor that names its first prefix."""
        store, cursor, count = self.cluster.store(), (shard * 65536 // SHARDS).to_bytes(2, "big"), 0
        while cursor and cursor[:2] < ((shard + 1) * 65536 // SHARDS).to_bytes(3, "big")[1:]:
            _, (result,) = store.job(0, [[6, b"", cursor, 1000, 0]])
            count, cursor = count + len(result[1]), result[2]
        return count

    def test_under_load_and_moves(self):
        loads = [Load(self.cluster, number) for number in range(2)]
        for turn in range(6):
            numbers = [self.cluster.cli("move", str(shard), OTHER[worker])[1][0]["move"]
                       for shard, worker in self.holders().items() if shard % 2 == turn % 2]
            for _ in range(5):
                code, (answer,) = self.cluster.cli("check")
                self.assertEqual((code, answer["status"], answer["mismatches"], answer["foreign_rows"]), (0, "ok", 0, 0), answer)
                self.assertEqual(answer["shards_checked"] + answer["shards_changed"] + answer["shards_unavailable"], SHARDS, answer)
            for number in numbers:
                self.wait_move(number, ("cleaning", "done"))
        for load in loads:
            load.wait_more(50)
            load.end()
        self.cluster.stop()

    def test_a_worker_that_does_not_answer(self):
        self.cluster.workers["w2"].child.send_signal(signal.SIGSTOP)
        code, (answer,) = self.cluster.cli("check")
        self.cluster.workers["w2"].child.send_signal(signal.SIGCONT)
        self.assertEqual((code, answer["status"]), (3, "unavailable"), answer)
        self.assertIn("worker w2", answer["error"])
        self.cluster.wait_stats(lambda stats: stats["workers_up"] == 2 and stats["shards_unavailable"] == 0)
        self.check(rows=len(ROWS))
        self.cluster.workers["w2"].kill()
        away = sum(worker == "w2" for worker in self.holders().values())
        self.cluster.wait_stats(lambda stats: stats["workers_up"] == 1)
        self.check(shards_checked=SHARDS - away, shards_unavailable=away)

    def test_a_check_that_takes_longer_than_a_question(self):
        cluster = self.own_cluster(workers=2, shards=SHARDS, broker_flags=["--liveness", f"{8 * SLOWER}s"])
        cluster.workers["w2"].child.send_signal(signal.SIGSTOP)
        code, (answer,) = cluster.cli("check", "--timeout", "200ms")
        self.assertEqual((code, answer["status"]), (3, "unavailable"), answer)
        self.assertIn("not over yet", answer["error"])
        code, (answer,) = cluster.cli("check")  # which asks again, as long as the broker lives
        self.assertEqual((code, answer["status"]), (3, "unavailable"), answer)
        self.assertIn("worker w2", answer["error"])
        cluster.broker.kill()
        code, (answer,) = cluster.cli("check", "--timeout", "200ms")
        self.assertEqual((code, answer["status"]), (3, "unavailable"), answer)
        self.assertIn("no broker answered", answer["error"])


if __name__ == "__main__":
    unittest.main()
