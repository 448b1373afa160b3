#!/usr/bin/python3
"""A third worker is started under load, and later one of three is drained: how long it takes, what is moved, and what producers notice.

    scale.py [--keys 1000000] [--repetitions 3] [--rate N] [--even-limit 1.10]

Two workers hold KEYS rows of 100 bytes, which are overwritten evenly: once by an open loop at half of the peak that was measured just before,
once by a closed loop. A worker with an empty directory is started. Load (operations served) and stored bytes of each worker over 10 s, max/mean:
it is settled when both keep the limit from then on. Then the first worker is drained under the same load, until it is empty.
What is moved is compared with the rows as they are copied: a third of all, or all that the drained one held. Exit 0 when every figure
keeps its limit in every repetition.
"""
import argparse
import collections
import statistics
import sys
import time

from figures import Cluster, Figures, fill, judged, measure_peak
from live import OVER_PHASES, Steady, Watch, copied_bytes, latency_ms, per_second

SHARDS, CLIENTS, PIPELINE = 512, 4, 20000
VALUE_BYTES = 100
ENTRY_BYTES = 11 + 2 + 16 + 10 + VALUE_BYTES  # in a copy: sizes, hash prefix, key, what is kept of a row beside its value, value
BEFORE_S, WINDOW_S, STEADY_S, GIVE_UP_S = 15, 10, 15, 150
SETTLE_LIMIT_S, BYTES_LIMIT_PERCENT = 60, 110
WAIT_FACTOR, WAIT_SLACK_MS, THROUGHPUT_LIMIT_PERCENT = 2, 20, 70


class Change:
    """A worker that joins or leaves under a load, watched until all is quiet again."""

    def __init__(self, watch, workers, even_limit, keys):
        self.watch, self.workers, self.even_limit, self.keys = watch, workers, even_limit, keys
        self.first_move = watch.next_move()
        self.began_s = time.monotonic()
        self.settled_s = [None, None]  # load, bytes: the end of the first window since which it has kept the limit
        self.ratios = None

    def look(self, moment):
        if moment.at_s < self.began_s + WINDOW_S:
            return
        self.ratios = self.watch.over_mean(self.watch.window(moment.at_s, WINDOW_S), self.workers, self.keys)
        for i, ratio in enumerate(self.ratios):
            if ratio > self.even_limit:
                self.settled_s[i] = None
            elif self.settled_s[i] is None:
                self.settled_s[i] = moment.at_s - self.began_s

    def moves(self):
        return self.watch.moves_since(self.first_move)

    def wait(self, is_there):
        """Until the limit has been kept for a while, nothing moves, and `is_there` says so of the last moment: when load, bytes and that were so."""
        there_s = None
        while (moment := self.watch.next_moment()).at_s < self.began_s + GIVE_UP_S:
            self.look(moment)
            if there_s is None and is_there(moment):
                there_s = moment.at_s - self.began_s
            still = all(move["phase"] in OVER_PHASES for move in self.moves())
            if still and there_s and None not in self.settled_s and moment.at_s - self.began_s - max(self.settled_s) >= STEADY_S:
                break
        else:
            print(f"after {GIVE_UP_S} s it is not quiet: {describe(self.moves())}", flush=True)
        return [GIVE_UP_S if took_s is None else took_s for took_s in (*self.settled_s, there_s)]


def describe(moves):
    """For people: which shards moved why, and how often."""
    by_reason = collections.Counter(move["reason"] for move in moves)
    by_shard = collections.Counter(move["shard"] for move in moves)
    return (f"{len(moves)} moves ({dict(by_reason)}), {sum(count > 1 for count in by_shard.values())} shards more than once, "
            f"{sum(move['restarts'] for move in moves)} begun again, {sum(move['phase'] != 'done' for move in moves)} not done")


class Part:
    """One kind of load over both changes on one cluster."""

    def __init__(self, cluster, figures, options, closed):
        self.cluster, self.figures, self.options, self.closed = cluster, figures, options, closed
        self.kind = "closed loop" if closed else "open loop"

    def add(self, name, *figure, **options):
        self.figures.add(f"{self.kind}, {name}", *figure, **options)

    def before(self):
        """p99 and throughput of some quiet seconds."""
        began_s = time.monotonic()
        while self.watch.next_moment().at_s < began_s + BEFORE_S:
            pass
        seconds = self.steady.seconds(began_s + 1, time.monotonic())
        return latency_ms(seconds, 0.99), per_second(seconds)

    def held(self):
        return {worker: self.watch.moments[-1].held(worker) for worker in sorted(self.watch.moments[-1].workers)}

    def judge(self, name, done, change, took_s, least_bytes, before):
        moves = change.moves()
        began_s, ended_s = self.watch.span(moves)
        seconds = self.steady.seconds(began_s, ended_s)
        p99_ms, rate = before
        each = sorted(second["ended"] for second in seconds)
        print(f"{self.kind}, {name}: {describe(moves)} in {ended_s - began_s:.1f} s; shards {self.held()}; "
              f"max/mean of load {change.ratios[0]:.3f}, of bytes {change.ratios[1]:.3f}; p50 {latency_ms(seconds, 0.5):.1f} ms, "
              f"longest hold {max(move['max_write_wait_us'] for move in moves) / 1000:.0f} ms; operations in a second: median "
              f"{statistics.median(each):,.0f}, least {each[0]:,}; before {rate:,.0f}", flush=True)
        for what, seconds_taken in zip(("load", "stored bytes", done), took_s):
            self.add(f"{name}: {what} settled after" if what != done else f"{name}: {done} after", seconds_taken, None if self.closed else SETTLE_LIMIT_S, "s")
        self.add(f"{name}: bytes moved", 100 * copied_bytes(moves) / least_bytes, BYTES_LIMIT_PERCENT, "% of the least")
        if self.closed:
            self.add(f"{name}: throughput during the moves", 100 * per_second(seconds) / rate, THROUGHPUT_LIMIT_PERCENT, "% of before", at_most=False)
        else:
            self.add(f"{name}: p99 before", p99_ms, None, "ms")
            self.add(f"{name}: p99 during the moves", latency_ms(seconds, 0.99), None, "ms")
            self.add(f"{name}: p99 during the moves beyond {WAIT_FACTOR} times that before", latency_ms(seconds, 0.99) - WAIT_FACTOR * p99_ms, WAIT_SLACK_MS, "ms")

    def join(self):
        before = self.before()
        change = Change(self.watch, ["w1", "w2", "w3"], self.options.even_limit, self.steady.keys)
        self.cluster.start_worker("w3", wait=False)
        took_s = change.wait(lambda moment: "w3" in moment.workers and moment.workers["w3"]["state"] == "up")
        self.judge("a third worker", "up", change, took_s, self.options.keys * ENTRY_BYTES / 3, before)

    def drain(self):
        before = self.before()
        held = self.watch.moments[-1].held("w1")
        change = Change(self.watch, ["w2", "w3"], self.options.even_limit, self.steady.keys)
        status, answer = self.cluster.admin("drain", "w1")
        if status != 0:
            raise AssertionError(answer)
        took_s = change.wait(lambda moment: moment.workers["w1"]["state"] == "drained" and moment.held("w1") == 0)
        self.judge("drain of one of three", "drained", change, took_s, self.options.keys * ENTRY_BYTES * held / SHARDS, before)
        worker = self.watch.moments[-1].workers["w1"]
        self.add("drain of one of three: shards left there", worker["shards"], 0, "shards")
        self.add("drain of one of three: not safe to stop", int(not worker["safe_to_stop"]), 0, "")

    def stop_moving(self):
        """The planner goes on trimming, and rows of a shard that has just left await their deletion."""
        self.cluster.admin("balance", "off")
        while any(move["phase"] not in OVER_PHASES for move in self.watch.moves_since(0)):
            self.watch.next_moment()

    def check_all_there(self):
        """Nothing is left where it should not be; and every key that was loaded is found, without the drained worker."""
        self.stop_moving()
        code, (answer,) = self.cluster.cli("check", timeout_s=300)
        if code != 0:
            raise AssertionError(answer)
        self.add("drain of one of three: rows left there", answer["rows_awaiting_deletion"] + answer["foreign_rows"], 0, "rows")
        self.cluster.workers["w1"].stop()
        code, lines = self.cluster.cli("bench", "--workload", "get", "--count", str(self.options.keys), "--keys", str(self.options.keys), "--pipeline", "5000",
                                       timeout_s=300)
        moment = self.watch.next_moment()
        if code != 0 or lines[0]["errors"] or lines[0]["not_found"] or not moment.balanced:
            raise AssertionError(f"not everything is there: {lines}, ledger balanced {moment.balanced}")

    def run(self, rate):
        load = {"pipeline": PIPELINE} if self.closed else {"rate": rate}
        with Watch(self.cluster) as self.watch:
            self.steady = Steady(self.cluster, "steady", keys=self.options.keys, clients=CLIENTS, **load)
            self.join()
            self.drain()
            self.add("operations that failed", self.steady.end(), 0, "operations")
            self.check_all_there()


def measure(figures, options, closed):
    with judged(Cluster(workers=2, shards=SHARDS, worker_flags=["--cache", "256M", "--write-buffer", "64M", "--reserve", "256M"])) as cluster:
        keys = ["--keys", str(options.keys), "--producers", str(CLIENTS), "--pipeline", "5000"]
        fill(cluster, *keys)
        peak = measure_peak(cluster, 5, *keys)
        rate = options.rate or int(peak / 2)
        print(f"{options.keys} keys, 2 workers; peak {peak:,.0f} puts/s, " + ("as many as can be" if closed else f"offered {rate:,} puts/s"), flush=True)
        Part(cluster, figures, options, closed).run(rate)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--rate", type=int, help="puts a second of the open loop, instead of half of the peak")
    parser.add_argument("--even-limit", type=float, default=1.10, help="max/mean at which it is settled")
    options = parser.parse_args()
    figures = Figures()
    for _ in range(options.repetitions):
        for closed in (False, True):
            measure(figures, options, closed)
    sys.exit(0 if figures.report() else 1)


if __name__ == "__main__":
    main()
