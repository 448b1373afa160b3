#!/usr/bin/python3
"""What a store does with ten times the work that its workers can do.

    overload.py [--repetitions 3] [--seconds 10] [--deadline-ms 2000] [--max-queue 64M]

Three workers are slowed by a preloaded library (slow.c) that makes each row of a write take 300 us: some 10,000 jobs a second in all. A job
is a transaction of one put: clients merge operations into batches, but no two transactions into one job. First the peak is looked for with
open loops at rates around that; then ten times the peak is offered, by clients whose operations have a deadline. Goodput is what is
acknowledged in a second, from a second after the start until the end of the load. Exit 0 when every figure keeps its limit in every
repetition.
"""
import argparse
import collections
import statistics
import sys
import time

from figures import BUILD, BUSY, EXPIRED, OK, Cluster, Figures, OpenLoop, judged, percentile, resident_bytes

WORKERS, SHARDS, CLIENTS = 3, 512, 8
ROW_US = 300
NOMINAL_RATE = WORKERS * 1000000 // ROW_US
PEAK_S, SETTLING_S = 5, 1
GRACE_MS = 1000  # the library waits so much longer than the deadline for a verdict
PUTS = 50
GOODPUT_LIMIT_PERCENT, NORMAL_LIMIT_S, SLACK_BYTES = 90, 10, 64 << 20
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class SlowCluster(Cluster):
    def worker_command(self, name, *flags):
        slow = ["env", f"LD_PRELOAD={BUILD}/tests/bench/slow.so", f"SLOW_ROW_US={ROW_US}"]
        return slow + super().worker_command(name, *flags)


def goodput(records):
    """Acknowledged a second while the load was offered, without its first second."""
    first, last = records[0][0] + SETTLING_S * 1000000, records[-1][0]
    return sum(outcome == OK and first <= intended + latency < last for intended, latency, _, outcome, _ in records) * 1000000 / (last - first)


def offer(cluster, name, rate, seconds, deadline_ms):
    load = OpenLoop(cluster, name, rate, seconds * 1000, clients=CLIENTS, alone=1, deadline_ms=deadline_ms)
    return load.end(), load.records()


def find_peak(cluster, deadline_ms):
    rates = [NOMINAL_RATE * percent // 100 for percent in (80, 100, 120)]
    return max(goodput(offer(cluster, f"peak-{rate}", rate, PEAK_S, deadline_ms)[1]) for rate in rates)


def put_latency_ms(store):
    """The median of some puts, one after the other."""
    taken = []
    for number in range(PUTS):
        began = time.monotonic()
        store.put(b"single %d" % number, b"value")
        taken.append((time.monotonic() - began) * 1000)
    return statistics.median(taken)


def await_normal(cluster, usual_ms):
    """Until nothing waits, the ledger balances and puts take what they took before: when that was, in microseconds."""
    cluster.wait_stats(lambda stats: stats["queued_jobs"] == stats["in_flight_jobs"] == 0 and stats["ledger_balanced"])
    store = cluster.store()
    while put_latency_ms(store) > 2 * usual_ms + 1:
        pass
    return time.monotonic_ns() // 1000


def check(cluster, summary):
    """What must hold whatever the figures are."""
    outcomes = {name: count for name, count in summary["outcomes"].items() if count}
    if summary["ended"] != summary["wanted"] or not set(outcomes) <= {"ok", "expired", "busy"}:
        raise AssertionError(f"operations without a certain outcome: {summary}")
    if cluster.query("stats")["alarms"] or " is away " in cluster.broker.logged():
        raise AssertionError("a worker was away, or an alarm is left")
    return outcomes


def measure(cluster, figures, options, number):
    usual_ms = put_latency_ms(cluster.store())
    peak = find_peak(cluster, options.deadline_ms)
    summary, records = offer(cluster, f"overload-{number}", 10 * peak, options.seconds, options.deadline_ms)
    normal_us = await_normal(cluster, usual_ms)
    outcomes = check(cluster, summary)
    good = goodput(records)
    latencies = [latency / 1000 for _, latency, _, outcome, _ in records if outcome == OK]
    rates = collections.Counter((intended + latency - records[0][0]) // 1000000 for intended, latency, _, outcome, _ in records if outcome == OK)
    print(f"peak {peak:,.0f} jobs/s, offered {10 * peak:,.0f}/s for {options.seconds} s: {outcomes}, {summary['late']} late at the generator; "
          f"acknowledged in each second {[rates[second] for second in range(options.seconds)]}", flush=True)
    refused = [latency / 1000 for _, latency, _, outcome, _ in records if outcome in (BUSY, EXPIRED)]
    figures.add("peak of the slowed cluster", peak, None, "jobs/s")
    figures.add("goodput under ten times the peak", 100 * good / peak, GOODPUT_LIMIT_PERCENT, "% of the peak", at_most=False)
    figures.add("acknowledged: p50", percentile(latencies, 0.5), None, "ms")
    figures.add("acknowledged: longest", max(latencies), options.deadline_ms + GRACE_MS, "ms")
    figures.add("not carried out: longest wait for that answer", max(refused, default=0), options.deadline_ms + GRACE_MS, "ms")
    limit = int(options.max_queue[:-1]) * UNITS[options.max_queue[-1]] + SLACK_BYTES
    figures.add("broker's memory at most", resident_bytes(cluster.broker)[1] / (1 << 20), limit / (1 << 20), "MiB")
    figures.add("all is back to normal after", (normal_us - records[-1][0]) / 1000000, NORMAL_LIMIT_S, "s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--deadline-ms", type=int, default=2000)
    parser.add_argument("--max-queue", default="64M")
    options = parser.parse_args()
    figures = Figures()
    for number in range(options.repetitions):
        with judged(SlowCluster(workers=WORKERS, shards=SHARDS, broker_flags=["--max-queue", options.max_queue])) as cluster:
            measure(cluster, figures, options, number)
    sys.exit(0 if figures.report() else 1)


if __name__ == "__main__":
    main()
