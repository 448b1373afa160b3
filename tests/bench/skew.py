#!/usr/bin/python3
"""A load whose popular keys all lie on one of three workers: how long until it is spread.

    skew.py [--keys 1000000] [--repetitions 3] [--rate N] [--limit 1.10]

The keys are KEYS of the store's that lie on shards which the first worker holds, and are overwritten with zipfian (0.99) popularity by an
open loop, at half of the peak of that very load. Load is measured over 10 s in two ways: operations that each worker served, all of one size, and the
time that its storage was busy. They differ: what a group commit costs hardly depends on how much is in it. No assignment
of whole shards can do better than max/mean = max(1, workers × share of the hottest shard), as measured in the same 10 s. Spread means that
max/mean is at most LIMIT × that bound, from then on. Exit 0 when every figure keeps its limit in every repetition.
"""
import argparse
import sys
import time

from figures import Cluster, Figures, fill, judged
from live import Steady, Watch, copied_bytes, latency_ms, per_second

SHARDS, CLIENTS, PIPELINE = 512, 4, 20000
WORKERS = ["w1", "w2", "w3"]
WINDOW_S, PEAK_S, BEFORE_S, STEADY_S, GIVE_UP_S = 10, 8, 3, 30, 180
SPREAD_LIMIT_S = 120


class Measure:
    """One way to measure load: max/mean over its bound, window by window."""

    def __init__(self, name):
        self.name = name
        self.over_mean = self.bound = self.spread_s = None  # spread: the end of the first window since which the limit has been kept

    def look(self, by_worker, bound, limit, passed_s):
        self.over_mean, self.bound = max(by_worker) * len(by_worker) / max(sum(by_worker), 1e-9), max(1.0, bound)
        if self.over_mean > limit * self.bound:
            self.spread_s = None
        elif self.spread_s is None:
            self.spread_s = passed_s


class Spread:
    """Both measures, from now on."""

    def __init__(self, watch, limit):
        self.watch, self.limit = watch, limit
        self.began_s = time.monotonic()
        self.operations, self.busy = Measure("operations"), Measure("busy time")
        self.measures = (self.operations, self.busy)

    def look(self, moment):
        moments = self.watch.window(moment.at_s, WINDOW_S)
        served, by_shard = self.watch.operations(moments, WORKERS)
        self.operations.look(list(served.values()), len(WORKERS) * max(by_shard) / max(sum(by_shard), 1), self.limit, moment.at_s - self.began_s)
        busy = [sum(moment.workers[worker]["busy_ratio"] for moment in moments) for worker in WORKERS]
        self.busy.look(busy, len(WORKERS) * sum(moment.hottest_share for moment in moments) / len(moments), self.limit, moment.at_s - self.began_s)

    def wait(self):
        """Until both have been spread for a while."""
        told = 1
        while (moment := self.watch.next_moment()).at_s < self.began_s + GIVE_UP_S:
            passed_s = moment.at_s - self.began_s
            if passed_s < WINDOW_S:
                continue
            self.look(moment)
            if passed_s >= told * WINDOW_S:
                told += 1
                ratios = ", ".join(f"{measure.name} {measure.over_mean:.3f} of bound {measure.bound:.3f}" for measure in self.measures)
                print(f"  after {passed_s:.0f} s: max/mean of {ratios}; {len(self.watch.moves)} moves", flush=True)
            if all(measure.spread_s and passed_s - measure.spread_s >= STEADY_S for measure in self.measures):
                return


def skewed(cluster, name, options, **load):
    mine = [shard["shard"] for shard in cluster.query("shards")["shards"] if shard["worker"] == WORKERS[0]]
    return Steady(cluster, name, keys=options.keys, clients=CLIENTS, zipfian=1, only=",".join(map(str, mine)), **load)


def find_peak(cluster, options):
    """Of this load, with nothing moving."""
    cluster.admin("balance", "off")
    load = skewed(cluster, "peak", options, pipeline=PIPELINE)
    began_s = time.monotonic()
    load.process.wait_line('{"us"')
    with Watch(cluster) as watch:
        while watch.next_moment().at_s < began_s + PEAK_S:
            pass
    seconds = load.seconds(began_s + 2, time.monotonic())
    load.end()
    return per_second(seconds)


def measure(cluster, figures, options):
    rate = options.rate or int(find_peak(cluster, options) / 2)
    print(f"{options.keys} keys on the shards of one of 3 workers, offered {rate:,} puts/s", flush=True)
    cluster.admin("balance", "off")
    load = skewed(cluster, "steady", options, rate=rate)
    with Watch(cluster) as watch:
        began_s = time.monotonic()
        while watch.next_moment().at_s < began_s + BEFORE_S:
            pass
        cluster.admin("balance", "on")
        served, _ = watch.operations(watch.moments, WORKERS)
        figures.add("operations: max/mean before anything moves", max(served.values()) * len(WORKERS) / sum(served.values()), None, "")
        spread = Spread(watch, options.limit)
        spread.wait()
        seconds = load.seconds(spread.began_s, time.monotonic())
        moves = watch.moves_since(1)
        print(f"{len(moves)} moves, {copied_bytes(moves) / 2**20:,.0f} MiB, {len(moves) - len({move['shard'] for move in moves})} of shards that had moved before; "
              f"p99 meanwhile {latency_ms(seconds, 0.99):.1f} ms, longest hold {max((move['max_write_wait_us'] for move in moves), default=0) / 1000:.0f} ms", flush=True)
    for measure in spread.measures:
        figures.add(f"{measure.name}: spread after", measure.spread_s or GIVE_UP_S, SPREAD_LIMIT_S, "s")
        figures.add(f"{measure.name}: max/mean over its bound at the end", 100 * measure.over_mean / measure.bound, 100 * options.limit, "%")
    figures.add("operations that failed", load.end(), 0, "operations")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--rate", type=int, help="puts a second, instead of half of the peak")
    parser.add_argument("--limit", type=float, default=1.10, help="max/mean over its bound at which it is spread")
    options = parser.parse_args()
    figures = Figures()
    for _ in range(options.repetitions):
        with judged(Cluster(workers=len(WORKERS), shards=SHARDS, worker_flags=["--cache", "256M", "--write-buffer", "64M", "--reserve", "256M"])) as cluster:
            fill(cluster, "--keys", str(len(WORKERS) * options.keys), "--producers", str(CLIENTS), "--pipeline", "5000")
            measure(cluster, figures, options)
    sys.exit(0 if figures.report() else 1)


if __name__ == "__main__":
    main()
