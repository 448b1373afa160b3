#!/usr/bin/python3
"""A counter that is incremented by four producers while everything is killed, again and again, must be right in the end.

    counter.py [--count 100000] [--kills 30] [--seed N]

First the broker and each of three workers are killed KILLS times, and the counter must end at exactly COUNT. Then the producers are
killed too, KILLS times each: acknowledged <= value <= acknowledged + unknown, where unknown is what a producer had submitted and had no
answer for when it was killed. Kills are paced by the counter itself: each comes when a number of increments drawn at random has been
acknowledged since the last one, with others under way; the next increments are allowed when whoever was killed has been started again.
"""
import argparse
import json
import os
import pathlib
import random
import selectors
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from cluster import BUILD, PATIENCE_S, Cluster  # noqa: E402

PRODUCERS = 4
WORKERS = 3


class Producer:
    """A process that increments, and the next one when it was killed. `done` is what its predecessors were acknowledged."""

    def __init__(self, cluster, key, number, count, selector):
        self.cluster, self.key, self.number, self.selector = cluster, key, number, selector
        self.left = count
        self.done = self.unknown = self.otherwise = self.kills = 0
        self.ended = False
        self.allowed = 0
        self.start()

    def start(self):
        self.submitted = self.acknowledged = self.failed = 0
        self.rest = b""
        with (self.cluster.directory / f"producer{self.number}.log").open("ab") as log:
            self.child = subprocess.Popen([BUILD / "tests" / "chaos" / "counter", self.cluster.endpoints["clients"], self.key, str(self.left)],
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self.selector.register(self.child.stdout, selectors.EVENT_READ, self)
        if self.allowed:
            self.allow(0)

    def total(self):
        return self.done + self.acknowledged

    def allow(self, more):
        """Lets it submit `more` than so far, in all its lives."""
        self.allowed += more
        if not self.ended:
            spent = self.done + self.unknown + self.otherwise
            self.child.stdin.write(b"%d\n" % max(0, self.allowed - spent))
            self.child.stdin.flush()

    def read(self):
        """Takes what it has said; at the end of its output looks how it ended."""
        data = os.read(self.child.stdout.fileno(), 65536)
        *lines, self.rest = (self.rest + data).split(b"\n")
        if lines:
            self.submitted, self.acknowledged, self.failed = map(int, lines[-1].split())
        if not data:
            self.selector.unregister(self.child.stdout)
            self.child.stdout.close()
            self.child.stdin.close()
            code = self.child.wait()
            if code:
                raise AssertionError(f"producer {self.number} ended with {code}:\n{self.logged()}")
            self.ended = True

    def kill(self):
        self.child.kill()
        self.child.wait()
        while data := os.read(self.child.stdout.fileno(), 65536):
            *lines, self.rest = (self.rest + data).split(b"\n")
            if lines:
                self.submitted, self.acknowledged, self.failed = map(int, lines[-1].split())
        self.selector.unregister(self.child.stdout)
        self.child.stdout.close()
        self.child.stdin.close()
        self.kills += 1
        self.done += self.acknowledged
        self.otherwise += self.failed
        self.unknown += self.submitted - self.acknowledged - self.failed
        self.left -= self.submitted
        self.acknowledged = self.submitted = self.failed = 0
        self.ended = self.left == 0
        if not self.ended:
            self.start()

    def logged(self):
        return (self.cluster.directory / f"producer{self.number}.log").read_text(errors="replace")


class Counter:
    def __init__(self, cluster, key, count, drawn):
        self.cluster, self.key, self.drawn = cluster, key, drawn
        self.selector = selectors.DefaultSelector()
        self.producers = [Producer(cluster, key, number, count // PRODUCERS, self.selector) for number in range(PRODUCERS)]

    def total(self):
        return sum(producer.total() for producer in self.producers)

    def settled(self):
        return sum(producer.total() + producer.unknown + producer.otherwise + producer.failed for producer in self.producers)

    def await_settled(self, wanted):
        """Until so many increments have an outcome."""
        while self.settled() < wanted and not all(producer.ended for producer in self.producers):
            ready = self.selector.select(6 * PATIENCE_S)
            if not ready:
                raise AssertionError(f"{self.settled()} of {wanted} increments ended, then nothing came\n{self.cluster.logged()}")
            for key, _ in ready:
                key.data.read()

    def strike(self, victim):
        """Kills somebody and starts it again."""
        if victim == "broker":
            self.cluster.broker.kill()
            self.cluster.start_broker()
        elif isinstance(victim, int):
            self.producers[victim].kill()
        else:
            self.cluster.workers[victim].kill()
            self.cluster.start_worker(victim)

    def run(self, victims, count):
        """Kills each of `victims` in its turn, a share of the increments apart; then lets the rest run out."""
        share = count // (len(victims) + 1)
        for victim in victims:
            before = self.settled()
            for producer in self.producers:
                producer.allow(share // PRODUCERS)
            self.await_settled(before + self.drawn.randrange(share // 10, share * 9 // 10))
            self.strike(victim)
        for producer in self.producers:
            producer.allow(count)
        self.await_settled(count)
        while not all(producer.ended for producer in self.producers):
            self.await_settled(count + 1)


def judge(name, counter, count, with_producers, began):
    code, (answer,) = counter.cluster.cli("get", counter.key)
    value = int(answer["value"]) if code == 0 else None
    acknowledged = counter.total()
    unknown = sum(producer.unknown for producer in counter.producers)
    otherwise = sum(producer.otherwise + producer.failed for producer in counter.producers)
    if with_producers:
        right = value is not None and acknowledged <= value <= acknowledged + unknown and otherwise == 0
    else:
        right = value == acknowledged == count and unknown == otherwise == 0
    stats = counter.cluster.wait_stats(lambda stats: stats["in_flight_jobs"] == 0 and stats["queued_jobs"] == 0)
    right = right and stats["ledger_balanced"]
    print(json.dumps({"phase": name, "value": value, "acknowledged": acknowledged, "unknown": unknown, "otherwise": otherwise,
                      "generation": stats["generation"], "producers_killed": sum(producer.kills for producer in counter.producers),
                      "seconds": round(time.monotonic() - began, 1), "right": right}), flush=True)
    return right


def run_phase(name, options, with_producers, drawn):
    cluster = Cluster(workers=WORKERS, shards=16)
    try:
        began = time.monotonic()
        victims = ["broker", *cluster.workers] * options.kills
        victims += list(range(PRODUCERS)) * options.kills if with_producers else []
        drawn.shuffle(victims)
        counter = Counter(cluster, "counter", options.count, drawn)
        counter.run(victims, options.count)
        right = judge(name, counter, options.count, with_producers, began)
        if not right:
            print(cluster.logged(), *(producer.logged() for producer in counter.producers), file=sys.stderr)
        return right
    finally:
        cluster.close()
        cluster.remove()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    options.count -= options.count % PRODUCERS
    print(f"seed {options.seed}: {options.count} increments, {options.kills} kills of the broker and of each worker", flush=True)
    drawn = random.Random(options.seed)
    results = [run_phase("broker and workers", options, False, drawn), run_phase("producers too", options, True, drawn)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
