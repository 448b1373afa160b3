"""What is measured side by side: Evenkeel, RocksDB by itself, db_bench, ZeroMQ by itself, Redis. Each answers with a dict of figures.

All of them keep their files below one directory, so that they share a disk, and each is alone while it is measured.
"""
import contextlib
import csv
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import time

from figures import BUILD, Cluster, resident_bytes

KEY_BYTES, VALUE_BYTES = 16, 100
CACHE, WRITE_BUFFER, RESERVE = "256M", "64M", "1G"  # the worker's defaults
SHARDS, GROUP_ROWS = 512, 10000
MIB = 1 << 20
PATIENCE_S = 600
TICK_US = 1000000 / os.sysconf("SC_CLK_TCK")


def cpu_us(pid):
    """Processor time of a process so far, all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


def thread_parts(pid, main, others):
    """Processor time of each part of a process so far. `others`: what the names of its threads contain, and the part that they are."""
    parts = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            name, _, fields = (task / "stat").read_text().partition("(")[2].rpartition(")")
            used = sum(map(int, fields.split()[11:13])) * TICK_US
            known = [part for word, part in others.items() if word in name]
            part = main if int(task.name) == pid else known[0] if known else f"{main}'s other threads"
            parts[part] = parts.get(part, 0) + used
    return parts


ROCKSDB_THREADS = {"rocksdb:high": "flushes", "rocksdb:low": "merges"}
SETTLED_S, SETTLING_S = 0.3, 300


def settle(*pids):
    """Waits until RocksDB has nothing left to flush and to merge in these processes, for which its C API has no event: until its threads have used
    no processor time for a while."""
    def used():
        return [thread_parts(pid, "rest", ROCKSDB_THREADS).get(part, 0) for pid in pids for part in ROCKSDB_THREADS.values()]

    gives_up = time.monotonic() + SETTLING_S
    last, since = used(), time.monotonic()
    while time.monotonic() - since < SETTLED_S:
        time.sleep(SETTLED_S / 4)
        now = used()
        if now != last:
            last, since = now, time.monotonic()
        if since > gives_up:
            raise AssertionError(f"RocksDB still merges after {SETTLING_S} s")


def processors_us():
    """Time of all processors so far: all of it, and what they were idle."""
    fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) * TICK_US, (fields[3] + fields[4]) * TICK_US


def children_us():
    """Processor time of the child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1e6


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def number_of(size):
    return int(size[:-1]) * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[size[-1]]


@contextlib.contextmanager
def directory():
    """A new one on the measured disk, gone afterwards."""
    path = tempfile.mkdtemp(prefix="bench-")
    try:
        yield pathlib.Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


# ---- the small programs of tests/bench ----

def tool(name, **flags):
    words = [str(BUILD / "tests" / "bench" / name)]
    for flag, value in flags.items():
        words += [f"--{flag.replace('_', '-')}", str(value)]
    return words


class Tool:
    """One that says `ready` and begins when it is told to."""

    def __init__(self, command):
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.name = " ".join(command)

    def ready(self):
        line = self.child.stdout.readline()
        if not line.startswith("ready"):
            raise AssertionError(f"{self.name}: {line}{self.child.stderr.read()}")
        return dict(word.split("=", 1) for word in line.split()[1:])

    def begin(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def figures(self):
        """Those of what it was told to begin with."""
        line = self.child.stdout.readline()
        if not line:
            raise AssertionError(f"{self.name} ended: {self.child.stderr.read()}")
        return json.loads(line)

    def end(self):
        _, errors = self.child.communicate(timeout=PATIENCE_S)
        if self.child.returncode != 0:
            raise AssertionError(f"{self.name} ended with {self.child.returncode}: {errors}")

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self.child.wait()


def in_phases(commands, count, settled=False):
    """Runs tools that begin each phase at the same moment: for each phase the figures of each tool. `settled`: it begins when RocksDB rests."""
    tools, done = [], []
    try:
        for command in commands:
            tools.append(Tool(command))
        for _ in range(count):
            for each in tools:
                each.ready()
            if settled:
                settle(*(each.child.pid for each in tools))
            for each in tools:
                each.begin()
            done.append([each.figures() for each in tools])
        for each in tools:
            each.end()
        return done
    finally:
        for each in tools:
            each.kill()


def together(*commands):
    """Likewise of tools with one phase: the figures of each."""
    return in_phases(commands, 1)[0]


def storage_processes(paths, phases, group=GROUP_ROWS, **flags):
    """RocksDB in one process for each path: for each phase the figures of each process. `shards`: with a worker's book-keeping of so many."""
    commands = [tool("storage", phases=",".join(phases), data=path, seed=number + 1, group=group, **flags) for number, path in enumerate(paths)]
    return dict(zip(phases, in_phases(commands, len(phases), settled=True)))


def storage(paths, phases, **flags):
    """Likewise: for each phase, what they do together."""
    return {phase: {name: sum(figures[name] for figures in done) for name in ("ops_per_second", "bytes_per_second")}
            for phase, done in storage_processes(paths, phases, **flags).items()}


def syncs(seconds):
    with directory() as path:
        return together(tool("syncs", file=path / "file", seconds=seconds))[0]


@contextlib.contextmanager
def proxy(server, **flags):
    """A zmq_proxy and a server behind it, a tool: the proxy's process, its endpoint for clients, and the server's process."""
    middle = Tool(tool("echo", role="proxy"))
    try:
        endpoints = middle.ready()
        behind = Tool(tool(server, connect=endpoints["back"], **flags))
        try:
            behind.ready()
            yield middle, endpoints["front"], behind
        finally:
            behind.kill()
    finally:
        middle.kill()


def ask(front, seconds, window, size=128, connections=1):
    """Messages through the proxy to whatever is behind it, `window` under way on each connection."""
    return together(tool("echo", role="client", connect=front, connections=connections, size=size, window=window, seconds=seconds))[0]


def echo(seconds, window, size=128, answer_bytes=0, connections=1):
    """Messages that are echoed behind the proxy; `cpu_us` is the proxy's for each."""
    with proxy("echo", role="server", answer_size=answer_bytes) as (middle, front, _):
        before = cpu_us(middle.child.pid)
        done = ask(front, seconds, window, size, connections)
        done["cpu_us"] = (cpu_us(middle.child.pid) - before) / done["operations"]
        return done


def served(path, mode, seconds, keys, window=1, connections=1):
    """
    Messages for each of which RocksDB behind the proxy puts a row, with a worker's book-keeping, or gets one, in a store that was loaded; begun when it rests.
    Puts are synced by a thread of their own, or (put-inline) by the one that reads the messages.
    """
    flags = {"mode": mode, "data": path, "keys": keys} | ({} if mode == "get" else {"shards": SHARDS})
    with proxy("served", **flags) as (_, front, server):
        settle(server.child.pid)
        return ask(front, seconds, window, connections=connections)


# ---- db_bench ----

DB_BENCH = ["--key_size=16", "--compression_ratio=0.5", "--compression_type=lz4", "--min_level_to_compress=2",
            f"--cache_size={number_of(CACHE)}", f"--write_buffer_size={number_of(WRITE_BUFFER)}", "--max_write_buffer_number=4", "--bloom_bits=10",
            "--whole_key_filtering=1", "--block_size=8192", "--use_data_block_hash_index=1", "--level_compaction_dynamic_level_bytes=1",
            "--memtable_bloom_size_ratio=0.05", "--memtable_whole_key_filtering=1", "--max_background_jobs=2", "--open_files=512",
            "--disable_wal=0", "--format_version=5"]


def db_bench(path, benchmark, keys, *flags, settled=False):
    """Operations a second; `settled`: it begins when RocksDB rests."""
    output = run(["db_bench", f"--benchmarks={'waitforcompaction,' * settled}{benchmark}", f"--db={path}", f"--num={keys}",
                  f"--value_size={VALUE_BYTES}", *DB_BENCH, *flags])
    found = re.search(rf"^{benchmark}\s*:.*?([\d.]+) ops/sec", output, re.M)
    if not found:
        raise AssertionError(f"db_bench says nothing of {benchmark}:\n{output}")
    return float(found.group(1))


def db_bench_fill(keys):
    with directory() as path:
        return db_bench(path, "fillrandom", keys, "--sync=1", "--batch_size=1000")


@contextlib.contextmanager
def db_bench_reads(keys):
    """A function that reads for so many seconds of a store that has every key."""
    with directory() as path:
        db_bench(path, "filluniquerandom", keys)
        yield lambda seconds: db_bench(path, "multireadrandom", keys, "--use_existing_db=1", "--multiread_batched=1", "--batch_size=64", "--threads=2",
                                       f"--duration={seconds}", settled=True)


# ---- Redis ----

class Redis:
    """A server that logs every write, and syncs `always` or `everysec`."""

    def __init__(self, path, policy):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        flags = {"port": self.port, "bind": "127.0.0.1", "dir": path, "appendonly": "yes", "appendfsync": policy, "save": "",
                 "auto-aof-rewrite-percentage": 0, "daemonize": "no"}
        self.child = subprocess.Popen(["redis-server", *(word for name, value in flags.items() for word in (f"--{name}", str(value)))],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = []
        for line in self.child.stdout:
            self.said.append(line)
            if "Ready to accept connections" in line:
                return
        raise AssertionError("redis-server does not start:\n" + "".join(self.said))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.stdout.close()
        self.child.wait()

    def put(self, keys, clients, pipeline, count):
        """redis-benchmark's SETs a second, and the server's processor time for each."""
        before = cpu_us(self.child.pid)
        output = run(["redis-benchmark", "-p", str(self.port), "-t", "set", "-n", str(count), "-r", str(keys), "-d", str(VALUE_BYTES), "-c",
                      str(clients), "-P", str(pipeline), "--csv"])
        fields = next(csv.DictReader(output[output.index('"test"'):].splitlines()))
        return {"ops_per_second": float(fields["rps"]), "latency_p50_us": float(fields["p50_latency_ms"]) * 1000,
                "cpu_us": (cpu_us(self.child.pid) - before) / count}

    def load(self, keys):
        together(tool("redis", port=self.port, mode="load", clients=20, pipeline=1000, keys=keys))

    def workload_a(self, keys, clients, pipeline, seconds):
        return together(tool("redis", port=self.port, mode="a", clients=clients, pipeline=pipeline, keys=keys, seconds=seconds))[0]

    def memory_bytes(self):
        fields = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+)", fields).group(1)) * 1024


# ---- Evenkeel ----

class Evenkeel(Cluster):
    """A broker and workers with the flags that they have by themselves."""

    def __init__(self, workers=1, shards=SHARDS, cache=CACHE, max_queue="256M", preload=None):
        """`preload`: the name and the environment of a library for the workers."""
        library, environment = preload or (None, {})
        self.around = ["env", f"LD_PRELOAD={BUILD}/tests/bench/{library}.so", *(f"{name}={value}" for name, value in environment.items())] if library else []
        self.max_queue = max_queue
        super().__init__(workers, shards, ["--max-queue", max_queue],
                         ["--cache", cache, "--write-buffer", WRITE_BUFFER, "--reserve", RESERVE])

    def worker_command(self, name, *flags):
        return self.around + super().worker_command(name, *flags)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self.remove()

    def settle(self):
        """Waits until its workers have nothing left to flush and to merge."""
        settle(*(worker.child.pid for worker in self.workers.values()))

    def used_us(self):
        """Processor time so far of the broker, and of all workers."""
        return cpu_us(self.broker.child.pid), sum(cpu_us(worker.child.pid) for worker in self.workers.values())

    def parts_us(self):
        """Processor time so far of the broker's and the workers' threads, by what they do."""
        parts = thread_parts(self.broker.child.pid, "broker", {"ZMQ": "ZeroMQ"})
        for worker in self.workers.values():
            for part, used in thread_parts(worker.child.pid, "worker", {"ZMQ": "ZeroMQ", "storage": "storage"} | ROCKSDB_THREADS).items():
                parts[part] = parts.get(part, 0) + used
        return parts

    def bench(self, workload, *, keys, seconds=None, load=False, **flags):
        """`evenkeel bench`, begun when RocksDB rests: its figures, the processor time of each process for an operation, and of each part as a share of all processors'."""
        words = ["bench", "--workload", workload, "--keys", str(keys)]
        words += ["--load", "--count", "1"] if load else ["--duration", f"{int(seconds * 1000)}ms"]
        for flag, value in flags.items():
            words += [f"--{flag.replace('_', '-')}", str(value)]
        self.settle()
        before, children_before, parts_before, processors_before = self.used_us(), children_us(), self.parts_us(), processors_us()
        code, lines = self.cli(*words, timeout_s=PATIENCE_S)
        after, children_after, parts_after, processors_after = self.used_us(), children_us(), self.parts_us(), processors_us()
        if code != 0 or lines[-1]["not_found"]:
            raise AssertionError(f"bench {words}: {code} {lines}\n{self.logged()}")
        done = lines[-1]
        done["broker_cpu_us"], done["workers_cpu_us"] = ((b - a) / done["operations"] for a, b in zip(before, after))
        done["client_cpu_us"] = (children_after - children_before) / done["operations"]
        every, idle = (b - a for a, b in zip(processors_before, processors_after))
        used = {part: after - parts_before.get(part, 0) for part, after in parts_after.items()}
        used |= {"load generator": children_after - children_before, "idle": idle}
        done["shares"] = {part: value / every for part, value in used.items()}
        return done

    def memory_bytes(self):
        """What the broker and the largest worker have now, and had at most: ((now, peak), (now, peak))."""
        return resident_bytes(self.broker), max((resident_bytes(worker) for worker in self.workers.values()), key=lambda pair: pair[1])

    def restart_s(self):
        """How long the worker of a cluster that was stopped in order takes until it says that it serves; the broker is there already."""
        self.start_broker()
        started = time.monotonic()
        for name in list(self.workers):
            self.start_worker(name)
        return time.monotonic() - started

    def fill_queue(self, jobs):
        """Offers more than its workers can do until the queue is full: the most that was queued, and the broker's peak."""
        limit = number_of(self.max_queue)
        load = self.start_command("load", self.cli_command("bench", "--workload", "put", "--count", str(100 * jobs), "--producers", "4", "--pipeline",
                                                           str(jobs), "--value-size", "1000", "--keys", "1000000"))
        most, full = 0, 0
        for stats in self.snapshots(30):
            most = max(most, stats["queued_bytes"])
            full += stats["queued_bytes"] > 0.9 * limit
            if full > 4:
                break
        load.kill()
        return most, resident_bytes(self.broker)[1]


class BrokerAlone(Cluster):
    """A broker with one worker that acknowledges without storing."""

    def __init__(self):
        super().__init__(workers=0, shards=SHARDS)
        self.worker = self.start_command("acknowledge", tool("acknowledge", broker=self.endpoints["workers"]))
        self.worker.wait_line("ready")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self.remove()

    def jobs(self, jobs, window, seconds):
        """Jobs a second in envelopes of `jobs`; `cpu_us` is the broker's for a job."""
        before = cpu_us(self.broker.child.pid)
        done = together(tool("envelopes", broker=self.endpoints["clients"], jobs=jobs, window=window, seconds=seconds))[0]
        done["cpu_us"] = (cpu_us(self.broker.child.pid) - before) / done["operations"]
        return done
