"""What the measurements of a store whose shards move share: a load that goes on until it is told to end, and what the stats socket showed meanwhile."""
import json
import signal
import threading
import time

from figures import BUILD

COPIED_PHASES = ("cleaning", "done")
OVER_PHASES = (*COPIED_PHASES, "cancelled", "failed")
STEPS = 32  # of common/histogram.h


def bucket_us(bucket):
    """The largest time in a bucket of common/histogram.h."""
    if bucket < STEPS:
        return bucket
    shift = bucket // STEPS - 1
    return ((bucket % STEPS + STEPS + 1) << shift) - 1


class Steady:
    """A load of tests/bench/steady.c."""

    def __init__(self, cluster, name, **options):
        command = [str(BUILD / "tests" / "bench" / "steady"), "--broker", cluster.endpoints["clients"], "--shards", str(cluster.shards)]
        for option, value in options.items():
            command += [f"--{option}", str(value)]
        self.process = cluster.start_command(name, command)
        self.keys = json.loads(self.process.wait_line('{"keys"', 300))["keys"]  # by shard
        self.process.wait_line('{"us"', 300)

    def seconds(self, since_s, until_s):
        """What it said of the seconds that touch this time."""
        said = [json.loads(line) for line in list(self.process.lines) if line.startswith('{"us"')]
        return [second for second in said if second["us"] / 1e6 > since_s and second["us"] / 1e6 - 1 < until_s]

    def end(self):
        """How many operations had no good end; all must have one."""
        self.process.child.send_signal(signal.SIGTERM)
        summary = json.loads(self.process.wait_line('{"submitted"', 60))
        if self.process.wait_end() != 0 or summary["ended"] != summary["submitted"]:
            raise AssertionError(f"operations without an outcome: {summary}")
        return summary["ended"] - summary["outcomes"]["ok"]


def latency_ms(seconds, share):
    """Of all operations that ended in these seconds."""
    counts = {}
    for second in seconds:
        for bucket, count in second["latency"]:
            counts[bucket] = counts.get(bucket, 0) + count
    left = share * sum(counts.values())
    for bucket in sorted(counts):
        left -= counts[bucket]
        if left <= 0:
            return bucket_us(bucket) / 1000
    return 0.0


def per_second(seconds):
    return sum(second["ended"] for second in seconds) / max(len(seconds), 1)


class Moment:
    """What one snapshot said."""

    def __init__(self, stats, at_s):
        self.at_s = at_s
        self.holders = [shard["worker"] for shard in stats["shards"]]
        self.positions = [shard["position"] for shard in stats["shards"]]
        self.hottest_share = max(shard["load_ratio"] or 0 for shard in stats["shards"]) / len(stats["shards"])  # of all busy time
        self.workers = {worker["name"]: worker for worker in stats["workers"]}
        self.alarms = stats["alarms"]
        self.balanced = stats["ledger_balanced"]

    def held(self, worker):
        return self.holders.count(worker)


class Watch(threading.Thread):
    """Keeps every snapshot and every move that was ever seen."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.moments = []
        self.moves = {}
        self.handed_over = {}  # when each was first seen to have changed hands
        self.over = False
        self.changed = threading.Condition()
        self.start()

    def run(self):
        for stats in self.cluster.snapshots(1e9):
            if self.over:
                return
            with self.changed:
                self.moments.append(Moment(stats, time.monotonic()))
                self.note(stats["moves"])
                self.changed.notify_all()

    def note(self, moves):
        for move in moves:
            self.moves[move["move"]] = move
            if move["phase"] in COPIED_PHASES:
                self.handed_over.setdefault(move["move"], self.moments[-1].at_s)

    def next_moment(self):
        with self.changed:
            known = len(self.moments)
            if not self.changed.wait_for(lambda: len(self.moments) > known, 30):
                raise AssertionError("nothing comes from the stats socket")
            return self.moments[-1]

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.over = True
        self.join()

    def window(self, at_s, window_s):
        """The moments of the last seconds before that time, and the one before them."""
        return [moment for moment in self.moments if at_s - window_s - 0.5 <= moment.at_s <= at_s]

    def operations(self, moments, workers):
        """What each worker served: positions that were given, of the shards that it held; and the same by shard."""
        served = dict.fromkeys(workers, 0)
        by_shard = [0] * self.cluster.shards
        for before, after in zip(moments, moments[1:]):
            for shard, holder in enumerate(after.holders):
                count = after.positions[shard] - before.positions[shard]
                by_shard[shard] += count
                if holder in served:
                    served[holder] += count
        return served, by_shard

    def over_mean(self, moments, workers, keys):
        """max/mean of the operations served and of the rows stored, both over these moments. All rows are of one size. What RocksDB's files and
        memory take is no measure of it while rows are overwritten: it goes up and down by more than the rows themselves as files are merged."""
        served, _ = self.operations(moments, workers)
        stored = {worker: sum(count for moment in moments for count, holder in zip(keys, moment.holders) if holder == worker) for worker in workers}
        return tuple(max(of.values()) * len(workers) / max(sum(of.values()), 1) for of in (served, stored))

    def moves_since(self, first):
        return [move for number, move in sorted(self.moves.items()) if number >= first]

    def next_move(self):
        return max(self.moves, default=0) + 1

    def span(self, moves):
        """From the beginning of the first of these moves until the last one had changed hands."""
        if not moves:
            raise AssertionError("nothing moved")
        ahead_s = time.time() - time.monotonic()
        numbers = [move["move"] for move in moves]
        return (min(move["started_unix_ms"] for move in moves) / 1000 - ahead_s,
                max((self.handed_over[number] for number in numbers if number in self.handed_over), default=time.monotonic()))


def copied_bytes(moves):
    """All that was copied. An attempt that came to nothing is counted as a whole one."""
    return sum(move["copied_bytes"] * (1 + move["restarts"]) for move in moves)
