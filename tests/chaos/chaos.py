#!/usr/bin/python3
"""Real processes under load that are killed, paused, restarted, robbed of what they had not synced, or given disks that fail; and a judge.

    chaos.py CYCLES [SEED]

Meanwhile an operator moves shards, cancels moves, drains workers, fetches them back and adds others. Each cycle has a seed of its own, SEED for the first one. Seeds that end in 0 cut the power of some machine, those that end in 5 make a write,
sync or rename fail. After every cycle all comes back, everything that was ever written is read, the history is judged, and the ledger must
balance. In the end there is a run on small file systems that fill up (smalldisk.py). Prints a line a cycle, and last how many passed and failed. A cycle
that fails keeps its directory.
"""
import errno
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "support"), str(pathlib.Path(__file__).resolve().parent)]

import powercut  # noqa: E402
from changes import Changes  # noqa: E402
from cluster import BUILD, PATIENCE_S, SLOWER, Cluster  # noqa: E402

WORKERS = ["w1", "w2", "w3"]
PRODUCERS = 3
SHARDS = 8
WORKERS_LEAST, WORKERS_MOST = 2, 4
LIVENESS_MS = int(700 * SLOWER)
LIVING_TAGS, CYCLE_TAGS = 2, 4
RECOVERY_S = 5 * SLOWER  # with what the figures on the stats socket are late: a second
CEILING_MS = 2500  # a broker's start may put its time this much ahead
SKIPPED = 77  # what smalldisk.py ends with where no file system can be mounted
LOUD_ENDS = {1, -signal.SIGABRT}  # Debian builds RocksDB with its assertions, and one of them may meet the failure first


class Violation(Exception):
    """What must not be."""


class Programs(Cluster):
    """Broker and workers that are struck by name."""

    def __init__(self, worker_flags=(), **options):
        self.ahead_ms, self.started_s = 0.0, time.monotonic()
        self.joined = options.get("workers", 1)
        super().__init__(shards=SHARDS, broker_flags=["--liveness", f"{LIVENESS_MS}ms"], worker_flags=["--write-buffer", "1M", *worker_flags], **options)

    def start_command(self, name, command):
        if name == "broker":
            now_s = time.monotonic()
            self.ahead_ms = max(0.0, self.ahead_ms - (now_s - self.started_s) * 500) + CEILING_MS  # half speed until the wall clock is there
            self.started_s = now_s
        return super().start_command(name, command)

    def next_name(self):
        self.joined += 1
        return f"w{self.joined}"

    def names(self):
        """The broker first: its start waits for nobody."""
        return ["broker", *self.workers]

    def process(self, name):
        return self.broker if name == "broker" else self.workers[name]

    def is_up(self, name):
        return self.process(name).child.poll() is None

    def start(self, name):
        if name == "broker":
            self.start_broker()
        else:
            self.start_worker(name, wait=False)


class Machines(Programs):
    """Each program has a machine of its own: a directory whose durable state is on record."""

    def __init__(self, **options):
        self.failing = {}  # by name: what the next start is told to fail
        super().__init__(**options)

    def root(self, name):
        return self.directory / "machines" / name

    def record(self, name):
        return self.directory / f"{name}.record"

    def graves(self, name):
        return self.directory / f"{name}.graves"

    def start_command(self, name, command):
        self.root(name).mkdir(parents=True, exist_ok=True)
        self.graves(name).mkdir(exist_ok=True)
        command = list(command)
        command[command.index("--data") + 1] = str(self.root(name) / "data")
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        preload = [f"LD_PRELOAD={BUILD}/tests/chaos/powercut.so", f"POWERCUT_LOG={self.record(name)}", f"POWERCUT_ROOT={self.root(name)}",
                   f"POWERCUT_GRAVES={self.graves(name)}", f"ASAN_OPTIONS={sanitizer}", *self.failing.pop(name, [])]
        self.processes = [process for process in self.processes if process.child.poll() is None]
        return super().start_command(name, ["env", *preload, *command])

    def maps_are_covered(self, name):
        """No file of the machine is written through shared memory, of which the record knows nothing."""
        try:
            maps = pathlib.Path(f"/proc/{self.process(name).child.pid}/maps").read_text(encoding="utf-8")
        except OSError:
            return True
        return not any(" rw-s " in line and str(self.root(name)) in line for line in maps.splitlines())

    def cut_power(self, names, chance):
        """All of them at one moment. What was lost, for people."""
        for name in names:
            if not self.maps_are_covered(name):
                raise Violation(f"{name} writes through shared memory: the power cut does not cover that")
        for name in names:
            self.process(name).child.kill()
        for name in names:
            self.process(name).child.wait()
        lost = [powercut.lose(self.record(name), self.graves(name), chance) for name in names]
        return f"{sum(changes for changes, _ in lost)} names and {sum(size for _, size in lost)} bytes lost"


class Cycle:
    """One cycle of faults under load on machines that live on."""

    def __init__(self, machines, seed, number):
        self.machines, self.seed, self.number = machines, seed, number
        self.chance = random.Random(seed)
        self.directory = machines.directory / f"cycle-{number}"
        self.directory.mkdir()
        first = LIVING_TAGS + number * CYCLE_TAGS
        self.tags = [*range(LIVING_TAGS), *range(first, first + CYCLE_TAGS)]
        self.sessions = 0
        self.histories = []
        self.producers = []
        self.paused = []
        self.told = []
        self.changes = Changes(machines, self.chance, WORKERS_LEAST, WORKERS_MOST)
        self.ahead_ms = machines.ahead_ms

    # ---- producers ----

    def start_load(self, mode):
        self.sessions += 1
        session = self.number * 16 + self.sessions
        history = self.directory / f"session-{session}"
        history.touch()  # a producer may be killed before it is there
        self.histories.append(history)
        command = [f"{BUILD}/tests/chaos/load", mode, self.machines.endpoints["clients"], str(history), str(session), str(self.seed), *map(str, self.tags)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def kill_producer(self):
        place = self.chance.randrange(PRODUCERS)
        self.producers[place].kill()
        self.producers[place].wait()
        self.producers[place] = self.start_load("mixed")

    # ---- faults ----

    def tell(self, text):
        self.told.append(text)

    def wait_until(self, at_s):
        """Faults come at chosen moments, whatever else happens."""
        time.sleep(max(0.0, at_s - time.monotonic()))

    def kill(self, names, stop=False):
        for name in names:
            process = self.machines.process(name)
            if process.child.poll() is not None:
                continue
            if stop:
                process.child.send_signal(signal.SIGTERM)
                code = process.wait_end()
                began = process.lines or code != -signal.SIGTERM  # before its first line a program may not have come to block signals
                if code != 0 and began:
                    raise Violation(f"{name} ended with {code} after SIGTERM")
            else:
                process.kill()

    def start(self, names):
        for name in sorted(names):  # the broker first
            if not self.machines.is_up(name):
                self.machines.start(name)

    def pause(self, process):
        process.send_signal(signal.SIGSTOP)
        self.paused.append(process)

    def go_on(self):
        for process in self.paused:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
        self.paused = []

    def some_changes(self, most):
        """What an operator asks for, before or between faults."""
        for _ in range(self.chance.randint(0, most)):
            told = self.changes.some()
            if told:
                self.tell(told)

    def one_fault(self):
        chance = self.chance
        name = chance.choice(self.machines.names())
        kind = chance.choice(["kill", "kill", "pause", "restart", "kill producer", "pause producer", "kill all"])
        if kind == "kill producer":
            self.tell("kill a producer")
            self.kill_producer()
            return
        self.tell(kind if kind in ("kill all", "pause producer") else f"{kind} {name}")
        names = self.machines.names() if kind == "kill all" else [name]
        away_s = chance.uniform(0, 0.4)
        if kind == "pause" or kind == "pause producer":
            self.pause(self.machines.process(name).child if kind == "pause" else self.producers[chance.randrange(PRODUCERS)])
            away_s = LIVENESS_MS / 1000 * chance.uniform(1.2, 1.8)
        else:
            self.kill(names, stop=kind == "restart")
        self.wait_until(time.monotonic() + away_s)
        self.go_on()
        self.start(names)

    def faults(self):
        ends_s = time.monotonic() + self.chance.uniform(1.0, 1.6)
        for _ in range(self.chance.randint(1, 3)):
            self.wait_until(time.monotonic() + self.chance.uniform(0.1, 0.5))
            self.some_changes(2)
            self.wait_until(time.monotonic() + self.chance.uniform(0, 0.1))
            self.one_fault()
        self.wait_until(ends_s)

    def power_cut(self):
        chance = self.chance
        self.wait_until(time.monotonic() + chance.uniform(0.4, 0.9))
        self.some_changes(3)
        everything, workers = self.machines.names(), sorted(self.machines.workers)
        names = chance.choice([everything, [chance.choice(workers)], [chance.choice(workers)], ["broker"]])
        self.wait_until(time.monotonic() + chance.uniform(0, 0.1))
        if chance.random() < 0.4:  # what a killed program left is read by the next one, and goes only then
            self.kill(names)
            self.start(names)
            self.wait_until(time.monotonic() + chance.uniform(0.05, 0.6))
        self.tell(f"power cut of {'all' if names == everything else names[0]} ({self.machines.cut_power(names, chance)})")
        self.start(names)
        self.wait_until(time.monotonic() + chance.uniform(0.3, 0.8))

    def wait_for_end(self, name):
        """A while for the call to be reached, and after that for the end that it must bring about."""
        until_s, reached = time.monotonic() + 2.5, False
        while self.machines.is_up(name) and time.monotonic() < until_s:
            if not reached and powercut.failures(self.machines.record(name)):
                until_s, reached = time.monotonic() + PATIENCE_S / 4, True
            self.wait_until(time.monotonic() + 0.05)

    def failing_call(self):
        """A program whose disk fails once: it has to end and say so."""
        chance, machines = self.chance, self.machines
        self.some_changes(2)
        name = chance.choice([*machines.workers, *machines.workers, "broker"])
        call, most = chance.choice([("sync", 120), ("sync", 120), ("write", 250), ("rename", 1)])
        at = chance.randint(1, most if name != "broker" else min(most, 12))
        number = chance.choice([errno.EIO, errno.ENOSPC])
        self.kill([name])
        powercut.forget(machines.record(name), machines.graves(name))
        machines.failing[name] = [f"FAIL_CALL={call}", f"FAIL_AT={at}", f"FAIL_ERRNO={number}"]
        try:
            machines.start(name)
        except AssertionError:
            pass  # it failed before it was ready
        self.wait_for_end(name)
        failed = powercut.failures(machines.record(name))
        self.tell(f"{call} {at} of {name} fails with {errno.errorcode[number]}{'' if failed else ' (not reached)'}")
        if failed and machines.is_up(name):
            raise Violation(f"{name} goes on after a failed {call} of {failed[0][1]}")
        if not failed:
            self.kill([name])
        else:
            code = machines.process(name).wait_end()
            if code not in LOUD_ENDS:
                raise Violation(f"{name} ended with {code} after a failed {call}")
        if chance.random() < 0.5:  # a failed sync says nothing about what is on the disk
            self.tell(machines.cut_power([name], chance))
        self.start([name])
        self.wait_until(time.monotonic() + 0.3)

    # ---- the end ----

    def settle(self):
        """All is back; every producer has its answers, and nothing is under way."""
        machines = self.machines
        self.go_on()
        self.start(machines.names())
        for worker in machines.workers.values():
            worker.wait_ready()
        began_s = time.monotonic()
        for stats in machines.snapshots(RECOVERY_S):
            if stats["shards_unavailable"] == 0 and stats["workers_up"] == len(machines.workers):
                break
        else:
            states = {shard["shard"]: shard["state"] for shard in machines.query("shards")["shards"]}
            raise Violation(f"not all shards serve after {RECOVERY_S:.1f} s: {states}, alarms {machines.query('stats')['alarms']}")
        recovery_s = time.monotonic() - began_s
        self.told += [f"{name} leaves" for name in self.changes.retire()]
        for producer in self.producers:
            producer.terminate()
        for producer in self.producers:
            if producer.wait(PATIENCE_S) != 0:
                raise Violation(f"a producer ended with {producer.returncode}")
        machines.wait_stats(lambda stats: stats["queued_jobs"] == 0 and stats["in_flight_jobs"] == 0)
        return recovery_s

    def check_figures(self):
        stats = self.machines.wait_stats(lambda stats: stats["queued_jobs"] == 0 and stats["in_flight_jobs"] == 0)
        ends = sum(stats[f"{kind}_jobs"] for kind in ("done", "failed", "expired", "dead", "given_back", "queued", "in_flight"))
        if stats["accepted_jobs"] != ends or not stats["ledger_balanced"]:
            raise Violation(f"the ledger does not balance: {stats}")
        if stats["alarms"]:
            raise Violation(f"alarms without a cause: {stats['alarms']}")

    def read_all(self):
        if self.start_load("read").wait(PATIENCE_S) != 0:
            raise Violation("the last reader failed")

    def judge(self):
        """The judge's counts."""
        command = [f"{BUILD}/tests/chaos/judge", str(self.machines.directory / "state"), str(SHARDS), str(int(max(self.ahead_ms, self.machines.ahead_ms))),
                   *map(str, self.histories)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Violation(done.stdout)
        return done.stdout.strip().removesuffix(" ok")

    def strike(self):
        {0: self.power_cut, 5: self.failing_call}.get(self.seed % 10, self.faults)()

    def run(self):
        """One line of figures."""
        self.producers = [self.start_load("mixed") for _ in range(PRODUCERS)]
        try:
            self.strike()
            recovery_s = self.settle()
            self.read_all()
            self.check_figures()
            counts = self.judge()
        finally:
            for producer in self.producers:
                producer.kill()
                producer.wait()
        shutil.rmtree(self.directory)
        return f"{counts} recovery {recovery_s:.1f} s"


ENDS_BADLY = (Violation, AssertionError, subprocess.TimeoutExpired)


def end(machines, finish):
    """False when what `finish` looks at is not as it must be."""
    try:
        print(finish(machines), flush=True)
        machines.stop()
    except ENDS_BADLY as error:
        print(f"{error} FAILED, see {machines.directory}", flush=True)
        machines.close()
        return False
    machines.close()
    machines.remove()
    return True


def run_cycles(cycles, seed, kind=Cycle, machines_of=Machines, finish=lambda _: "all is stopped"):
    """How many passed and failed. What `finish` finds wrong in the end is one more failure."""
    machines, passed, failed = None, 0, 0
    for number in range(cycles):
        machines = machines or machines_of(workers=len(WORKERS))
        cycle = kind(machines, seed + number, number)
        began_s = time.monotonic()
        try:
            said, verdict = cycle.run(), "ok"
            passed += 1
        except ENDS_BADLY as error:
            said, verdict = str(error), f"FAILED, see {machines.directory}"
            failed += 1
            machines.close()
            machines = None
        except BaseException:
            machines.close()
            raise
        print(f"seed {seed + number}: {', '.join(cycle.told)}: {said} {verdict} {time.monotonic() - began_s:.1f} s", flush=True)
    if machines and not end(machines, finish):
        failed += 1
    return passed, failed


def main():
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    passed, failed = run_cycles(cycles, seed)
    small = subprocess.run([sys.executable, pathlib.Path(__file__).with_name("smalldisk.py"), str(seed)], check=False).returncode
    passed, failed = passed + (small == 0), failed + (small not in (0, SKIPPED))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
