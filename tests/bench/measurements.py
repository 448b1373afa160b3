"""What is measured in each round, and how large: every function adds figures to samples under the names that rows.py and pages.py read.

The base case: 16-byte keys random over `keys`, 100-byte values, one producer with UNDER_WAY operations under way, one worker, 512 shards. Each axis
varies one of these.
"""
import contextlib
import dataclasses
import shutil
import pathlib
import statistics
import tempfile
import time

import systems
from systems import GROUP_ROWS, MIB, SHARDS, BrokerAlone, Evenkeel, Redis

UNDER_WAY = 20000
DEEP = 50000  # as many as 50 clients of Redis have with its longest pipeline
CLIENTS = 50
PROCESSES = (1, 2)  # of workers, or of RocksDB by itself with as many keys in all
ENVELOPE_JOBS, ENVELOPE_WINDOW, JOB_WINDOW = 100, 100, 1000
SLOW_ROW_US = 300
STAGES = ("handed", "begun", "logged", "synced", "applied", "answered", "messages")  # what lies between the moments of timeline.c, and the next put's first
TIMELINE_PUTS = 2000  # the last ones: at the beginning keys are loaded


@dataclasses.dataclass
class Plan:
    rounds: int = 5
    seconds: int = 3
    brief_s: int = 2  # side axes, Redis, the broker by itself, RocksDB behind ZeroMQ
    long_s: int = 4  # where what merges cost shall show
    turns: int = 3  # in a round, of what is measured side by side with what it is compared by
    keys: int = 1000000
    small: int = 100000
    big: int = 10000000
    big_cache: str = systems.CACHE
    sizes: tuple = (10, 100, 1000, 10000, 100000, MIB)
    pipelines: tuple = (1, 10, 100, 1000, UNDER_WAY)
    producers: tuple = (1, 10, 100, 1000)
    shards: tuple = (512, 2048, 8192)
    redis_pipelines: tuple = (1, 10, 100, 1000)
    max_queue: str = "256M"
    queue_jobs: int = 100000
    limit_s: int = 45 * 60


QUICK = Plan(rounds=1, seconds=1, brief_s=1, long_s=1, turns=1, keys=100000, small=30000, big=300000, big_cache="16M", sizes=(100, 10000, MIB), pipelines=(1, 100, UNDER_WAY),
             producers=(10, 1000), shards=(512, 8192), redis_pipelines=(1, 100, 1000), max_queue="64M", queue_jobs=30000, limit_s=5 * 60)


class Samples:
    """Figures by name; one value a round."""

    def __init__(self, values=None):
        self.values = values or {}

    def add(self, name, value):
        self.values.setdefault(name, []).append(value)

    def of(self, name):
        return self.values.get(name, [])

    def median(self, name):
        return statistics.median(self.of(name)) if self.of(name) else None

    def add_medians(self, turns):
        for name in turns.values:
            self.add(name, turns.median(name))

    def names(self, start):
        return [name for name in self.values if name.startswith(start)]


class Kept:
    """Stores of `big` keys, in one process and in two, that outlive a round, since loading them takes longest: they are closed between their uses."""

    def __init__(self, plan):
        self.plan = plan
        self.path = None
        self.clusters = {}
        self.opening_s = 0

    def take_opening_s(self):
        """What opening them has taken since this was last asked."""
        taken, self.opening_s = self.opening_s, 0
        return taken

    def raw(self, processes, *phases):
        """What RocksDB by itself does with them, in so many processes."""
        paths = [self.path / f"raw{number}-of-{processes}" for number in range(processes)]
        return systems.storage(paths, phases, keys=self.plan.big // processes, seconds=self.plan.long_s, cache=self.plan.big_cache)

    def open(self):
        began = time.monotonic()
        try:
            self.path = pathlib.Path(tempfile.mkdtemp(prefix="bench-big-"))
            for processes in PROCESSES:
                self.raw(processes, "load")
                self.clusters[processes] = Evenkeel(processes, cache=self.plan.big_cache)
                self.clusters[processes].bench("put", keys=self.plan.big, load=True, pipeline=DEEP)
                self.clusters[processes].stop()
            self.opening_s = time.monotonic() - began
        except BaseException:
            self.close()
            raise

    def close(self):
        for cluster in self.clusters.values():
            cluster.close()
            cluster.remove()
        if self.path:
            shutil.rmtree(self.path, ignore_errors=True)
        self.path, self.clusters = None, {}


# ---- what lies below ----

def measure_storage(plan, samples, _):
    for processes in PROCESSES:
        with systems.directory() as path:
            paths = [path / str(number) for number in range(processes)]
            done = systems.storage(paths, ("load", "put", "get"), keys=plan.keys // processes, seconds=plan.seconds)
        for phase in ("put", "get"):
            samples.add(f"raw.{phase}.{processes}", done[phase]["ops_per_second"])


def measure_db_bench(plan, samples, _):
    samples.add("db_bench.fill", systems.db_bench_fill(plan.keys))


def measure_echo(plan, samples, _):
    done = systems.echo(plan.seconds, JOB_WINDOW)
    samples.add("echo.pipelined", done["ops_per_second"])
    samples.add("echo.cpu_us", done["cpu_us"])
    samples.add("echo.fifty", systems.echo(plan.seconds, 1, connections=CLIENTS)["ops_per_second"])
    for producers in plan.producers:
        samples.add(f"echo.producers.{producers}", systems.echo(plan.brief_s, UNDER_WAY // producers, connections=producers)["ops_per_second"])


def measure_redis(plan, samples, _):
    for policy in ("always", "everysec"):
        with systems.directory() as path, Redis(path, policy) as redis:
            redis.load(plan.keys)
            for pipeline in plan.redis_pipelines:
                # redis-benchmark counts commands and not time: roughly what a pipeline makes of a second.
                count = plan.brief_s * {1: 20000, 10: 100000}.get(pipeline, 200000)
                done = redis.put(plan.keys, CLIENTS, pipeline, count)
                samples.add(f"redis.{policy}.put.{CLIENTS}x{pipeline}", done["ops_per_second"])
                samples.add(f"redis.{policy}.cpu_us.{CLIENTS}x{pipeline}", done["cpu_us"])
            samples.add(f"redis.{policy}.bytes", redis.memory_bytes())
            for clients, pipeline in ((1, UNDER_WAY), (20, UNDER_WAY // 20)):
                if policy == "always":
                    done = redis.workload_a(plan.keys, clients, pipeline, plan.seconds)
                    samples.add(f"redis.always.a.{clients}x{pipeline}", done["ops_per_second"])


# ---- Evenkeel ----

def add_cpu(samples, name, done):
    for part in ("broker", "workers", "client"):
        samples.add(f"{name}.{part}.cpu_us", done[f"{part}_cpu_us"])


def add_shares(samples, name, done):
    for part, share in done["shares"].items():
        samples.add(f"share.{name}.{part}", share)


def add_depth(samples, under_way, workload, done):
    """A point of the axis of operations under way."""
    samples.add(f"pipeline.{under_way}.{workload}", done["ops_per_second"])
    for figure in ("p50", "p99"):
        samples.add(f"pipeline.{under_way}.{workload}.{figure}_us", done[f"latency_{figure}_us"])


def ask_served(plan, cluster, path, mode, window=1, connections=1):
    """RocksDB behind ZeroMQ, once what was measured before it rests as well."""
    cluster.settle()
    return systems.served(path, mode, plan.brief_s, plan.keys, window, connections)


def measure_singles(plan, samples, cluster, path):
    """One producer, one operation at a time, in turns with what that is compared by, for the time of a wake-up changes from minute to minute: medians of the turns."""
    turns = Samples()
    for _ in range(plan.turns):
        turns.add("echo.p50_us", systems.echo(1, 1)["latency_p50_us"])
        turns.add("sync.p50_us", systems.syncs(1)["latency_p50_us"])
        for mode in ("put-inline", "put", "get"):
            turns.add(f"served.{mode}.p50_us", ask_served(plan, cluster, path, mode)["latency_p50_us"])
        for workload in ("put", "get"):
            done = cluster.bench(workload, keys=plan.keys, seconds=plan.brief_s, pipeline=1)
            add_depth(turns, 1, workload, done)
            for figure in ("p50", "p99", "p999"):
                turns.add(f"single.{workload}.{figure}_us", done[f"latency_{figure}_us"])
    samples.add_medians(turns)


def measure_timeline(plan, samples, _):
    """How long one put at a time waits for what: timeline.c tells of seven moments of each in the worker."""
    with systems.directory() as path:
        with Evenkeel(preload=("timeline", {"TIMELINE": path / "puts"})) as cluster:
            cluster.bench("put", keys=plan.keys, load=True, pipeline=UNDER_WAY)
            cluster.bench("put", keys=plan.keys, seconds=plan.brief_s, pipeline=1)
            cluster.stop()
        puts = [[int(moment) / 1000 for moment in line.split()] for line in (path / "puts").read_text().splitlines()][-TIMELINE_PUTS:]
    rounds = [(*put, following[0]) for put, following in zip(puts, puts[1:])]
    for number, stage in enumerate(STAGES):
        samples.add(f"timeline.{stage}_us", statistics.median(moments[number + 1] - moments[number] for moments in rounds))


def measure_rate(plan, samples, cluster, peak):
    """Half of what was just reached, offered whether it is taken or not."""
    done = cluster.bench("put", keys=plan.keys, seconds=plan.seconds, pipeline=UNDER_WAY, rate=int(peak / 2))
    samples.add("rate.target", int(peak / 2))
    samples.add("rate.ops", done["ops_per_second"])
    for figure in ("p50", "p99", "p999"):
        samples.add(f"rate.{figure}_us", done[f"latency_{figure}_us"])


def measure_pipelines(plan, samples, cluster):
    """What lies between one at a time and the base case."""
    for pipeline in plan.pipelines:
        for workload in ("put", "get"):
            if 1 < pipeline < UNDER_WAY:
                add_depth(samples, pipeline, workload, cluster.bench(workload, keys=plan.keys, seconds=plan.brief_s, pipeline=pipeline))


def measure_fifty(plan, samples, cluster, path, name):
    """As many producers as Redis has clients, one put each, beside RocksDB behind ZeroMQ with as many messages under way."""
    for way, connections in (("fifty", CLIENTS), ("fifty_together", 1)):
        done = cluster.bench("put", keys=plan.keys, seconds=plan.seconds, producers=CLIENTS, connections=connections, pipeline=1)
        samples.add(f"{name}.{way}", done["ops_per_second"])
        samples.add(f"{name}.{way}.p50_us", done["latency_p50_us"])
        add_shares(samples, f"{name}.{way}", done)
        samples.add(f"served.{way}", ask_served(plan, cluster, path, "put", CLIENTS // connections, connections)["ops_per_second"])


def measure_small(plan, samples, cluster, name):
    """What waits for messages and syncs rather than for processors, each beside RocksDB behind ZeroMQ with as many keys."""
    with systems.directory() as path:
        systems.storage([path], ("load",), keys=plan.keys)
        measure_fifty(plan, samples, cluster, path, name)
        measure_singles(plan, samples, cluster, path)


def add_run(samples, name, done):
    samples.add(name, done["ops_per_second"])
    for figure in ("p50", "p99"):
        samples.add(f"{name}.{figure}_us", done[f"latency_{figure}_us"])
    add_cpu(samples, name, done)
    add_shares(samples, name, done)


def measure_pipelined(samples, cluster, name, workload, **flags):
    add_run(samples, f"{name}.{workload}", cluster.bench(workload, pipeline=UNDER_WAY, **flags))
    add_run(samples, f"{name}.{workload}.deep", cluster.bench(workload, pipeline=DEEP, **flags))


def measure_gets(plan, samples, cluster, name):
    """Pipelined gets in turns with those of db_bench, for what a processor does in a second changes from minute to minute, too: medians of the turns."""
    turns = Samples()
    with systems.db_bench_reads(plan.keys) as read:
        for _ in range(plan.turns):
            turns.add("db_bench.multiread", read(plan.brief_s))
            measure_pipelined(turns, cluster, name, "get", keys=plan.keys, seconds=plan.brief_s)
    samples.add_medians(turns)


def measure_evenkeel(plan, samples, _):
    for workers in PROCESSES:
        name = f"evenkeel.{workers}"
        with Evenkeel(workers) as cluster:
            if workers == 1:
                samples.add("memory.broker.idle", cluster.memory_bytes()[0][0])
            cluster.bench("put", keys=plan.keys, load=True, pipeline=UNDER_WAY)
            measure_pipelined(samples, cluster, name, "put", keys=plan.keys, seconds=plan.seconds)
            if workers == PROCESSES[-1]:
                measure_gets(plan, samples, cluster, name)
            else:
                measure_pipelined(samples, cluster, name, "get", keys=plan.keys, seconds=plan.seconds)
            for workload in ("a", "b", "c", "f"):
                add_run(samples, f"{name}.{workload}", cluster.bench(workload, keys=plan.keys, seconds=plan.seconds, pipeline=UNDER_WAY))
            (broker, _), (worker, _) = cluster.memory_bytes()
            samples.add(f"{name}.broker.bytes", broker)
            samples.add(f"{name}.worker.bytes", worker)
            if workers == 1:
                measure_small(plan, samples, cluster, name)
                measure_rate(plan, samples, cluster, samples.of(f"{name}.put")[-1])
                measure_pipelines(plan, samples, cluster)


def measure_broker(plan, samples, _):
    for jobs, window in ((ENVELOPE_JOBS, ENVELOPE_WINDOW), (1, JOB_WINDOW)):
        with BrokerAlone() as cluster:
            done = cluster.jobs(jobs, window, plan.brief_s)
        # A proxy that carries the same bytes both ways for the processor's sake; one that echoes for the rate.
        answer_bytes = done["answer_bytes"] if jobs > 1 else 0
        same = systems.echo(plan.brief_s, window, size=done["envelope_bytes"], answer_bytes=answer_bytes)
        samples.add(f"broker.{jobs}.jobs", done["ops_per_second"])
        samples.add(f"broker.{jobs}.cpu_us", done["cpu_us"])
        samples.add(f"broker.{jobs}.bytes", done["envelope_bytes"])
        samples.add(f"proxy.{jobs}.messages", same["ops_per_second"])
        samples.add(f"proxy.{jobs}.cpu_us", same["cpu_us"] / jobs)


# ---- one axis at a time ----

def measure_sizes(plan, samples, _):
    for size in plan.sizes:
        keys = max(64, min(plan.keys, 512 * MIB // size))
        pipeline = max(16, min(UNDER_WAY, 64 * MIB // size))
        group = max(1, min(GROUP_ROWS, 16 * MIB // size))
        with Evenkeel() as cluster:
            done = cluster.bench("put", keys=keys, seconds=plan.brief_s, value_size=size, pipeline=pipeline)
        with systems.directory() as path:
            raw = systems.storage([path], ("put",), keys=keys, value_size=size, group=group, seconds=plan.brief_s)["put"]
        for name, figures in (("evenkeel", done), ("raw", raw)):
            samples.add(f"size.{size}.{name}", figures["ops_per_second"])
            samples.add(f"size.{size}.{name}.bytes", figures["bytes_per_second"])


def measure_few_keys(plan, samples, _):
    for processes in PROCESSES:
        with Evenkeel(processes) as cluster:
            cluster.bench("put", keys=plan.small, load=True, pipeline=UNDER_WAY)
            measure_keys(plan, samples, cluster, plan.small)
        with systems.directory() as path:
            paths = [path / str(number) for number in range(processes)]
            done = systems.storage(paths, ("load", "put", "get"), keys=plan.small // processes, seconds=plan.long_s)
        add_raw_keys(samples, plan.small, processes, done)


def measure_keys(plan, samples, cluster, keys):
    for workload in ("put", "get"):
        done = cluster.bench(workload, keys=keys, seconds=plan.long_s, pipeline=UNDER_WAY)
        samples.add(f"keys.{keys}.evenkeel.{workload}.{len(cluster.workers)}", done["ops_per_second"])


def add_raw_keys(samples, keys, processes, done):
    for phase in ("put", "get"):
        samples.add(f"keys.{keys}.raw.{phase}.{processes}", done[phase]["ops_per_second"])


def measure_many_keys(plan, samples, kept):
    if not kept.path:
        kept.open()
    for processes, cluster in kept.clusters.items():
        started_s = cluster.restart_s()
        measure_keys(plan, samples, cluster, plan.big)
        _, (_, peak) = cluster.memory_bytes()
        cluster.stop()
        add_raw_keys(samples, plan.big, processes, kept.raw(processes, "put", "get"))
        if processes == 1:
            samples.add("start.seconds", started_s)
            samples.add("memory.worker.peak", peak)
            samples.add("memory.worker.over", peak - systems.number_of(plan.big_cache) - systems.number_of(systems.WRITE_BUFFER))


def measure_producers(plan, samples, _):
    """Producers with a connection each, and together on one."""
    for way, connections_of in (("producers", lambda producers: producers), ("together", lambda _: 1)):
        peaks = []
        for producers in plan.producers:
            with Evenkeel() as cluster:
                done = cluster.bench("put", keys=plan.keys, seconds=plan.seconds, producers=producers, connections=connections_of(producers),
                                     pipeline=UNDER_WAY // producers)
                (_, broker), (_, worker) = cluster.memory_bytes()
            peaks.append((producers, broker, worker))
            samples.add(f"{way}.{producers}", done["ops_per_second"])
            samples.add(f"{way}.{producers}.p99_us", done["latency_p99_us"])
            add_shares(samples, f"{way}.{producers}", done)
        (few, *least), (many, *most) = peaks[0], peaks[-1]
        samples.add(f"{way}.broker.bytes_each", (most[0] - least[0]) / (many - few))
        samples.add(f"{way}.worker.bytes_each", (most[1] - least[1]) / (many - few))


def add_shards(plan, samples, name, cluster, under_way):
    done = cluster.bench("put", keys=plan.keys, seconds=plan.seconds, pipeline=under_way)
    samples.add(name, done["ops_per_second"])
    samples.add(f"{name}.p99_us", done["latency_p99_us"])
    add_shares(samples, name, done)


def add_raw_shards(plan, samples):
    """One after the other, so that what they are compared by changes as little as it can meanwhile."""
    for shards in plan.shards:
        with systems.directory() as path:
            done = systems.storage([path], ("put",), keys=plan.keys, seconds=plan.seconds, shards=shards)["put"]
        samples.add(f"shards.{shards}.raw", done["ops_per_second"])


def measure_shards(plan, samples, _):
    idle = []
    for shards in plan.shards:
        with Evenkeel(shards=shards) as cluster:
            (broker, _), (worker, _) = cluster.memory_bytes()
            idle.append((shards, broker, worker))
            add_shards(plan, samples, f"shards.{shards}", cluster, UNDER_WAY)
        with Evenkeel(shards=shards) as cluster:
            add_shards(plan, samples, f"shards.{shards}.deep", cluster, DEEP)
    add_raw_shards(plan, samples)
    (few, *least), (many, *most) = idle[0], idle[-1]
    samples.add("shards.broker.bytes_each", (most[0] - least[0]) / (many - few))
    samples.add("shards.worker.bytes_each", (most[1] - least[1]) / (many - few))


def measure_full_queue(plan, samples, _):
    with Evenkeel(max_queue=plan.max_queue, preload=("slow", {"SLOW_ROW_US": SLOW_ROW_US})) as cluster:
        queued, peak = cluster.fill_queue(plan.queue_jobs)
    samples.add("memory.broker.queued", queued)
    samples.add("memory.broker.full", peak)
    samples.add("memory.broker.over", peak - systems.number_of(plan.max_queue))


ALL = (measure_storage, measure_evenkeel, measure_timeline, measure_db_bench, measure_redis, measure_echo, measure_broker, measure_sizes, measure_few_keys,
       measure_many_keys, measure_producers, measure_shards, measure_full_queue)


@contextlib.contextmanager
def kept_stores(plan):
    kept = Kept(plan)
    try:
        yield kept
    finally:
        kept.close()
