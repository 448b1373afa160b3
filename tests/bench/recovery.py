#!/usr/bin/python3
"""How long a store is away after a SIGKILL, under a load that does not wait for it.

    recovery.py [--keys 1000000] [--repetitions 3] [--rate N]

Three workers hold KEYS rows; puts come at half of the peak that was measured just before. One worker is killed and started again at once:
how long after its start until a put on each of its shards is answered that was meant to begin after the death, and what the puts on the
others' shards waited meanwhile. Then the broker likewise. Exit 0 when every figure keeps its limit in every repetition.
"""
import argparse
import sys
import time

from figures import OK, Cluster, Figures, OpenLoop, fill, judged, measure_peak, percentile

SHARDS = 512
CLIENTS = 4
BEFORE_S, RUN_S = 3, 10
AGAIN_LIMIT_MS, OTHERS_LIMIT_MS = 2000, 250


def microseconds():
    return time.monotonic_ns() // 1000


def strike(cluster, victim):
    """Kills and starts again: when it was dead and when the next one was started."""
    process = cluster.workers[victim] if victim else cluster.broker
    killed = microseconds()
    process.kill()
    started = microseconds()
    if victim:
        cluster.start_worker(victim)
    else:
        cluster.start_broker()
    return killed, started


def serves_again(records, shards, since_us):
    """When the last of the shards answered its first put that was meant to begin after `since_us`; None when one never did."""
    first = dict.fromkeys(shards)
    for intended, latency, shard, outcome, _ in records:
        if intended >= since_us and outcome == OK and shard in first:
            ended = intended + latency
            if first[shard] is None or ended < first[shard]:
                first[shard] = ended
    return None if None in first.values() else max(first.values())


def measure(cluster, figures, rate, keys, victim):
    what = "worker" if victim else "broker"
    shards = cluster.query("shards")["shards"]
    struck = {shard["shard"] for shard in shards if not victim or shard["worker"] == victim}
    load = OpenLoop(cluster, f"load-{what}", rate, RUN_S * 1000, keys=keys, clients=CLIENTS)
    load.await_second(BEFORE_S)
    killed, started = strike(cluster, victim)
    summary = load.end()
    records = load.records()
    again = serves_again(records, struck, started)
    if again is None or summary["ended"] != summary["wanted"] or summary["outcomes"]["ok"] != summary["wanted"]:
        raise AssertionError(f"not everything was answered: {summary}")
    figures.add(f"{what} killed: each of its shards serves again", (again - started) / 1000, AGAIN_LIMIT_MS, "ms")
    before = [latency for intended, latency, *_ in records if intended < killed - 500000 and intended > killed - 2500000]
    figures.add(f"{what} killed: p99 of all before", percentile(before, 0.99) / 1000, None, "ms")
    if victim:
        others = [latency for intended, latency, shard, *_ in records if killed <= intended <= again and shard not in struck]
        figures.add("worker killed: p99 of the other workers' shards meanwhile", percentile(others, 0.99) / 1000, OTHERS_LIMIT_MS, "ms")
    else:
        figures.add("broker killed: longest wait of a put", max(record[1] for record in records) / 1000, None, "ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys", type=int, default=1000000)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--rate", type=int, help="puts a second, instead of half of the peak")
    options = parser.parse_args()
    with judged(Cluster(workers=3, shards=SHARDS, worker_flags=["--cache", "256M", "--write-buffer", "64M", "--reserve", "256M"])) as cluster:
        keys = ["--keys", str(options.keys), "--producers", str(CLIENTS), "--pipeline", "5000"]
        fill(cluster, *keys)
        peak = measure_peak(cluster, 5, *keys)
        rate = options.rate or int(peak / 2)
        print(f"{options.keys} keys, 3 workers; peak {peak:,.0f} puts/s, offered {rate:,} puts/s", flush=True)
        figures = Figures()
        for number in range(options.repetitions):
            measure(cluster, figures, rate, options.keys, f"w{number % 3 + 1}")
            measure(cluster, figures, rate, options.keys, None)
        passed = figures.report()
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
