"""A cluster that keeps itself even: workers that join, workers that are drained, and what an operator sees and sets."""
import json
import os
import pty
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from cluster import PATIENCE_S, EvenkeelTest, program, run  # noqa: E402
from test_moves import store_all  # noqa: E402

SHARDS = 16
ROWS = [(b"row%d" % i, bytes([i % 251]) * (i % 2000)) for i in range(3000)]
LONG_S = 3 * PATIENCE_S
DRAIN = "status worker state shards_left bytes_left bytes_per_second eta_ms safe_to_stop error".split()
SETTINGS = "status balance moves_paused copy_limit_bytes_per_second moves_active moves_open".split()
MOVE = """move shard source target reason phase copied_bytes total_bytes bytes_per_second eta_ms started_unix_ms ended_unix_ms max_write_wait_us
restarts error""".split()
ENTRY = """shard source target reason resource source_load_before source_load_after target_load_before target_load_after gain bytes
bytes_per_second cooldown_waived held_back_by""".split()


class Balance(EvenkeelTest):
    def begin(self, workers):
        self.cluster = self.own_cluster(workers=workers, shards=SHARDS)
        self.reader = self.cluster.store()
        store_all(self.cluster, ROWS)

    def answer(self, *words, code=0):
        actual, (answer,) = self.cluster.cli(*words)
        self.assertEqual(actual, code, answer)
        return answer

    def text(self, *words):
        done = run([program("evenkeel"), "--broker", self.cluster.endpoints["clients"], *words])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn(b"\x1b", done.stdout + done.stderr)
        return done.stdout.decode()

    def counts(self):
        return {worker["name"]: worker["shards"] for worker in self.cluster.query("workers")["workers"]}

    def wait_until(self, holds):
        """Looks once a snapshot."""
        for stats in self.cluster.snapshots(LONG_S):
            if holds(stats):
                return
        raise AssertionError(f"never came true: {self.counts()} {self.cluster.query('moves')} {self.cluster.query('plan')}")

    def wait_rounds(self, more):
        wanted = self.cluster.query("plan")["round"] + more
        self.wait_until(lambda _: self.cluster.query("plan")["round"] >= wanted)

    def is_even(self):
        counts = self.counts()
        return all(abs(count - SHARDS / len(counts)) <= 1 for count in counts.values())

    def state_of(self, name):
        return next(worker["state"] for worker in self.cluster.query("workers")["workers"] if worker["name"] == name)

    def check_rows(self):
        for key, value in ROWS:
            self.assertEqual(self.reader.get(key)[0], value, key)

    def restart_broker(self):
        self.cluster.broker.kill()
        self.cluster.start_broker()

    # ---- workers that join ----

    def test_a_worker_that_joins_is_filled_and_then_nothing_moves(self):
        self.begin(workers=2)
        self.cluster.start_worker("w3")
        self.wait_until(lambda stats: stats["workers_up"] == 3 and self.is_even() and stats["moves_active"] == 0)
        moves = self.cluster.query("moves")["moves"]
        self.assertTrue(moves)
        for move in moves:
            self.assertEqual(list(move), MOVE)
            self.assertEqual((move["target"], move["reason"]), ("w3", "balance"))
        self.wait_rounds(3)
        self.assertEqual(len(self.cluster.query("moves")["moves"]), len(moves))
        plan = self.cluster.query("plan")
        self.assertEqual((plan["moves"], plan["moves_planned"], plan["balancing"]), ([], 0, False))
        self.assertTrue(plan["quiet_because"])
        self.assertGreaterEqual(self.cluster.query("stats")["workers_wanted"], 1)
        self.check_rows()
        self.cluster.stop()

    def test_off_means_that_it_is_planned_and_not_done(self):
        self.begin(workers=2)
        self.assertEqual(self.answer("balance", "off")["balance"], "off")
        self.cluster.start_worker("w3")
        self.wait_until(lambda _: self.cluster.query("plan")["moves"])
        plan = self.answer("plan")
        for entry in plan["moves"]:
            self.assertEqual(list(entry), ENTRY)
            self.assertEqual((entry["target"], entry["reason"], entry["held_back_by"]), ("w3", "balance", None))
        self.assertEqual((plan["balance"], plan["balancing"]), ("off", False))
        self.assertIn("off", plan["quiet_because"])
        self.assertEqual({worker["worker"] for worker in plan["workers"]}, {"w1", "w2", "w3"})
        text = self.text("plan")
        for part in ("balancing is off", "would move now", "its worker carries more than its share", "w3"):
            self.assertIn(part, text)
        self.wait_rounds(2)
        self.assertEqual((self.counts()["w3"], self.cluster.query("moves")["moves"]), (0, []))
        self.answer("balance", "on")
        self.wait_until(lambda _: self.is_even())
        self.cluster.stop()

    # ---- workers that leave ----

    def test_a_drained_worker_can_be_stopped_and_forgotten(self):
        self.begin(workers=3)
        code, lines = self.cluster.cli("drain", "w2", "--wait", timeout_s=LONG_S)
        self.assertEqual(code, 0, lines)
        for line in lines:
            self.assertEqual(list(line), DRAIN)
            self.assertEqual((line["status"], line["worker"], line["error"]), ("ok", "w2", None))
        self.assertEqual({line["state"] for line in lines[:-1]}, {"draining"})
        last = lines[-1]
        self.assertEqual([last[name] for name in ("state", "shards_left", "bytes_left", "safe_to_stop")], ["drained", 0, 0, True])
        self.assertEqual((self.state_of("w2"), self.counts()["w2"]), ("drained", 0))
        self.assertEqual(self.answer("drain", "w2")["state"], "drained")
        self.assertIn("evenkeel forget w2", self.text("drain", "w2"))
        self.assertEqual(self.answer("forget", "w2", code=4)["status"], "denied")
        self.cluster.workers["w2"].stop()
        self.cluster.wait_stats(lambda stats: stats["workers_up"] == 2)
        self.assertEqual((self.cluster.query("stats")["alarms"], self.state_of("w2")), ([], "drained"))
        self.check_rows()
        self.assertEqual(self.answer("check")["rows"], len(ROWS))
        self.answer("forget", "w2")
        self.assertEqual(set(self.counts()), {"w1", "w3"})
        self.check_rows()
        self.cluster.stop()

    def test_what_cannot_be_drained(self):
        self.begin(workers=1)
        refused = self.answer("drain", "w1", code=4)
        self.assertEqual(list(refused), DRAIN)
        self.assertEqual([refused[name] for name in ("status", "worker", "state", "safe_to_stop")], ["denied", "w1", "refused", False])
        self.assertIn("no other worker", refused["error"])
        self.assertEqual(self.answer("drain", "w1", "--wait", code=4)["state"], "refused")
        self.assertEqual(self.state_of("w1"), "up")
        self.assertIn("no such worker", self.answer("drain", "nobody", code=4)["error"])
        self.cluster.start_worker("twin", "--name", "w1")
        self.assertIn("several workers", self.answer("drain", "w1", code=4)["error"])
        self.assertEqual(self.answer("drain", self.cluster.workers["twin"].wait_ready()["id"][:13])["worker"], "w1")
        for words in (["drain"], ["drain", "w1", "w2"], ["drain", "w1", "--wait", "--cancel"], ["balance"], ["balance", "sideways"],
                      ["balance", "limit"], ["balance", "limit", "much"], ["balance", "limit", "1"], ["balance", "on", "off"], ["plan", "w1"]):
            self.assertEqual(self.answer(*words, code=2)["status"], "usage", words)
        self.cluster.stop()

    def wait_drain(self, *flags):
        """`drain w1 --wait`, which has said its first line."""
        waiting = self.cluster.start_command("drain", self.cluster.cli_command("drain", "w1", "--wait", *flags))
        self.assertEqual(json.loads(waiting.wait_line("{"))["state"], "draining")
        return waiting

    def test_a_drain_that_is_cancelled(self):
        self.begin(workers=2)
        before = self.counts()
        self.assertTrue(self.answer("balance", "pause")["moves_paused"])
        stuck = self.answer("drain", "w1")
        self.assertEqual((stuck["state"], stuck["shards_left"], stuck["safe_to_stop"]), ("draining", before["w1"], False))
        self.assertIn("paused", stuck["error"])
        self.assertEqual(self.state_of("w1"), "draining")
        self.wait_until(lambda _: self.cluster.query("moves")["moves"])
        waiting = self.wait_drain()
        limited = self.cluster.cli("drain", "w1", "--wait", "--timeout", "100ms")
        self.assertEqual((limited[0], limited[1][-1]["status"]), (3, "expired"))
        self.assertEqual(self.answer("drain", "w1", "--cancel")["state"], "cancelled")
        self.assertEqual(self.answer("drain", "w1", "--cancel")["state"], "cancelled")
        self.assertEqual(waiting.wait_end(), 4, waiting.logged())
        self.assertEqual(json.loads(waiting.lines[-1])["state"], "cancelled")
        self.assertEqual({move["phase"] for move in self.cluster.query("moves")["moves"]}, {"cancelled"})
        self.answer("balance", "resume")
        self.assertEqual((self.state_of("w1"), self.counts()), ("up", before))
        self.check_rows()
        self.cluster.stop()

    def test_a_drain_outlives_the_broker_and_the_worker(self):
        self.begin(workers=2)
        self.answer("balance", "pause")
        waiting = self.wait_drain()
        self.restart_broker()
        self.cluster.workers["w1"].kill()
        self.cluster.start_worker("w1")
        self.wait_until(lambda stats: stats["workers_up"] == 2 and stats["shards_unavailable"] == 0)
        self.assertEqual(self.state_of("w1"), "draining")
        self.answer("balance", "resume")
        self.assertEqual(waiting.wait_end(LONG_S), 0, waiting.logged())
        last = json.loads(waiting.lines[-1])
        self.assertEqual((last["state"], last["safe_to_stop"]), ("drained", True))
        self.restart_broker()
        self.wait_until(lambda stats: stats["workers_up"] == 2)
        self.assertEqual((self.state_of("w1"), self.counts()), ("drained", {"w1": 0, "w2": SHARDS}))
        self.check_rows()
        self.cluster.stop()

    # ---- what is set, and what is seen ----

    def test_settings_outlive_the_broker(self):
        self.begin(workers=2)
        first = self.answer("balance", "status")
        self.assertEqual(list(first), SETTINGS)
        self.assertEqual([first[name] for name in SETTINGS[1:]], ["on", False, None, 0, 0])
        self.answer("balance", "off")
        self.answer("balance", "limit", "20M")
        wanted = ["off", True, 20 << 20]
        self.assertEqual([self.answer("balance", "pause")[name] for name in SETTINGS[1:4]], wanted)
        self.restart_broker()
        self.wait_until(lambda stats: stats["shards_unavailable"] == 0)
        self.assertEqual([self.answer("balance", "status")[name] for name in SETTINGS[1:4]], wanted)
        text = self.text("balance", "status")
        for part in ("off", "paused", "20.0 MiB/s"):
            self.assertIn(part, text)
        shard = self.cluster.query("shards")["shards"][0]
        self.answer("move", "0", "w2" if shard["worker"] == "w1" else "w1")
        self.wait_rounds(1)
        self.assertEqual([move["phase"] for move in self.cluster.query("moves")["moves"]], ["queued"])
        self.answer("balance", "on")
        self.answer("balance", "resume")
        self.assertEqual([self.answer("balance", "limit", "none")[name] for name in SETTINGS[1:4]], ["on", False, None])
        self.wait_until(lambda _: self.cluster.query("moves")["moves"][0]["phase"] in ("cleaning", "done"))
        self.assertIn("none", self.text("balance", "status"))
        self.cluster.stop()

    def on_terminal(self, *words):
        """What the command writes on a terminal, on standard output and standard error alike."""
        leader, follower = pty.openpty()
        child = subprocess.Popen([program("evenkeel"), "--broker", self.cluster.endpoints["clients"], *words], stdin=subprocess.DEVNULL,
                                 stdout=follower, stderr=follower, env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"})
        os.close(follower)
        text = b""
        try:
            while part := os.read(leader, 65536):
                text += part
        except OSError:  # the other end is closed
            pass
        os.close(leader)
        self.assertEqual(child.wait(), 0, text)
        return text.decode()

    def test_bars_on_a_terminal_only(self):
        self.begin(workers=2)
        self.assertIn("no moves", self.text("moves"))
        text = self.on_terminal("drain", "w1", "--wait")
        for part in ("shards left", "] ", "w1 is drained"):
            self.assertIn(part, text)
        self.assertIn("[####################] 100 %", self.on_terminal("moves"))
        self.assertIn("\x1b[2J", self.on_terminal("moves", "--watch"))
        self.assertNotIn("\x1b[3", self.on_terminal("moves", "--watch"))  # no colour
        plain = self.text("moves")
        self.assertNotIn("###", plain)
        self.assertIn("drain", plain)
        code, lines = self.cluster.cli("moves", "--watch")
        self.assertEqual((code, [list(line) for line in lines]), (0, [["moves"]] * len(lines)))
        self.cluster.stop()


if __name__ == "__main__":
    unittest.main()
