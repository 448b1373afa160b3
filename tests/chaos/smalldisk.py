#!/usr/bin/python3
"""Three workers, each on a file system of 64 MiB that fills up, under mixed load and kills; and the judge.

    smalldisk.py [SEED]

A writer fills the file systems with large values until every worker says that its disk is full, and writes wait. Then deletes, which have a
reserve of their own, make room, and writes return. Workers and the broker are killed while the disks fill up, while they are full and while
room is made. In the end all is read back: what the chaos run's producers saw is judged, and every large value that was acknowledged is
compared. Exit 0; 1 when something must not be; 77, with the cause, where no file system can be mounted.

Mounting needs root. Without it the run tries to be root in a user namespace of its own.
"""
import os
import random
import subprocess
import sys
import tempfile
import time

import msgpack

from chaos import LOUD_ENDS, PRODUCERS, SKIPPED, WORKERS, Cycle, Programs, Violation  # which finds the next one's directory
from cluster import PATIENCE_S
from thin_client import BUSY, DELETE, EXPIRED, NOT_FOUND, OK, READ, WRITE, delete, get, put

MIB = 1 << 20
DISK_BYTES, RESERVE_BYTES = 64 * MIB, 24 * MIB
VALUE_BYTES, ROUND = 64 << 10, 16
DEADLINE_MS = 150  # of a write that may have to wait for room
STRIKES = 2  # of each phase
JOBS, REPLIES = 3, 4
LOOK_MS = 500  # so often somebody looks whether a worker has ended while an answer is awaited
LOUD_MAX = 3
# Debian builds RocksDB with its assertions, and one of them may meet the failure first.
NO_ROOM = ["No space left", "AndGetStatusForPrevError"]
UNKNOWN = "unknown"  # its answer went with a broker


def mount(directory):
    """None, or why not."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(directory)], capture_output=True, text=True, check=False)
    return done.stderr.strip() or "mount failed" if done.returncode else None


class SmallDisks(Programs):
    def __init__(self, **options):
        self.mounted = []
        super().__init__(worker_flags=["--cache", "4M", "--reserve", str(RESERVE_BYTES // MIB) + "M"], **options)

    def start_command(self, name, command):
        directory = self.directory / name
        if name in WORKERS and not directory.exists():
            directory.mkdir()
            why = mount(directory)
            if why:
                raise Violation(f"a file system can no longer be mounted: {why}")
            self.mounted.append(directory)
        return super().start_command(name, command)

    def remove(self):
        for directory in self.mounted:
            subprocess.run(["umount", "-l", directory], capture_output=True, check=False)
        super().remove()


class Filler:
    """Writes and deletes large values as a thin client does, many jobs in an envelope. `outcomes` says what is known of each key."""

    def __init__(self, machines, seed, revive):
        self.machines, self.seed, self.revive = machines, seed, revive
        self.outcomes, self.gone = {}, set()
        self.jobs = 0
        self.socket = machines.raw(timeout_s=PATIENCE_S)

    def value(self, number):
        """Cannot be compressed, and can be told from every other."""
        return random.Random(self.seed * 1000003 + number).randbytes(VALUE_BYTES)

    @staticmethod
    def key(number):
        return b"large-%d" % number

    def exchange(self, jobs, strike=None):
        """[(kind, deadline, operation)] in one envelope; a list of (status, result of the operation). `strike` happens while they are under way."""
        first = self.jobs
        self.jobs += len(jobs)
        message = [[first + place, kind, deadline, None, msgpack.packb([operation])] for place, (kind, deadline, operation) in enumerate(jobs)]
        self.socket.send(msgpack.packb([1, JOBS, message]))
        answers = {}
        if strike and strike() == "broker":
            self.take_what_came(answers, first)
            self.socket.close()  # with what it still held for the broker
            self.socket = self.machines.raw(timeout_s=PATIENCE_S)
        else:
            while len(answers) < len(jobs):
                self.take(answers, first)
        return [answers.get(place, (UNKNOWN, None)) for place in range(len(jobs))]

    def take(self, answers, first):
        until_s = time.monotonic() + PATIENCE_S
        while not self.socket.poll(LOOK_MS):
            self.revive()
            if time.monotonic() > until_s:
                raise Violation(f"no answer for {PATIENCE_S:.0f} s: {self.machines.query('workers')}, {self.machines.query('stats')}")
        _, kind, replies = msgpack.unpackb(self.socket.recv())
        if kind != REPLIES:
            raise Violation(f"a message of type {kind} instead of replies: {replies}")
        for number, status, _, _, body in replies:
            if number >= first:
                answers[number - first] = (status, msgpack.unpackb(body)[0] if body else OK)

    def take_what_came(self, answers, first):
        while self.socket.poll(0):
            self.take(answers, first)

    def write(self, deadline_ms=DEADLINE_MS, strike=None):
        """A round of puts; how many were acknowledged."""
        numbers = range(len(self.outcomes), len(self.outcomes) + ROUND)
        found = self.exchange([(WRITE, deadline_ms, put(self.key(number), self.value(number))) for number in numbers], strike)
        for number, (status, _) in zip(numbers, found):
            if status not in (OK, BUSY, EXPIRED, UNKNOWN):
                raise Violation(f"a put of {number} ended with {status}")
            self.outcomes[number] = status
        return sum(status == OK for status, _ in found)

    def kept(self):
        return [number for number, outcome in self.outcomes.items() if outcome == OK and number not in self.gone]

    def delete(self, numbers, strike=None):
        found = self.exchange([(DELETE, 0, delete(self.key(number))) for number in numbers], strike)
        for number, (status, result) in zip(numbers, found):
            if status != UNKNOWN and (status, result) != (OK, OK):
                raise Violation(f"a delete of {number}, which was acknowledged, ended with {status}, {result}")
            self.gone.add(number)
            if status == UNKNOWN:
                self.outcomes[number] = UNKNOWN

    def compare(self):
        """Reads everything back; how many values were there."""
        there = 0
        for number, outcome in self.outcomes.items():
            ((status, result),) = self.exchange([(READ, 0, get(self.key(number)))])
            present = result != NOT_FOUND
            must_be = outcome == OK and number not in self.gone
            may_be = must_be or outcome == UNKNOWN
            if status != OK or (must_be and not present) or (present and not may_be):
                raise Violation(f"value {number}, whose put ended with {outcome}, gone {number in self.gone}: status {status}, present {present}")
            if present and result[1] != self.value(number):
                raise Violation(f"value {number} is not what was written")
            there += present
        return there


class SmallDiskCycle(Cycle):
    def __init__(self, machines, seed):
        super().__init__(machines, seed, 0)
        self.filler = Filler(machines, seed, self.revive)
        self.loud = 0
        self.filling, self.emptying = self.draw_strikes(4, 40), self.draw_strikes(0, 60)
        self.staying = [self.draw_victim() for _ in range(STRIKES)]

    # ---- faults ----

    def draw_victim(self):
        return self.chance.choice([*WORKERS, *WORKERS, "broker"])

    def draw_strikes(self, first, last):
        """Who is killed in which rounds of a phase."""
        return {number: self.draw_victim() for number in self.chance.sample(range(first, last), STRIKES)}

    def strike_of(self, name):
        """What kills and starts again whoever that is; None for nobody."""
        return (lambda: self.kill_and_start(name)) if name else None

    def log_bytes(self, name):
        return sum(log.stat().st_size for log in (self.machines.directory / name).glob("*.log"))

    def kill_and_start(self, name):
        self.kill([name])
        disk = os.statvfs(self.machines.directory / name)
        room = f" with {disk.f_bavail * disk.f_frsize // MIB} MiB free and {self.log_bytes(name) // MIB} in its log" if name in WORKERS else ""
        self.tell(f"kill {name}{room}")
        self.start([name])
        return name

    def revive(self):
        """A worker may have ended on its own for want of room, if it said so; then it has to come back."""
        for name in WORKERS:
            process = self.machines.process(name)
            if process.child.poll() is None:
                continue
            if process.child.returncode not in LOUD_ENDS or not any(words in process.logged() for words in NO_ROOM):
                raise Violation(f"{name} ended on its own with {process.child.returncode}")
            self.loud += 1
            if self.loud > LOUD_MAX:
                raise Violation(f"{name} does not come back for want of room")
            self.tell(f"{name} ended for want of room")
            self.start([name])

    # ---- phases ----

    def all_full(self):
        return all(worker["state"] == "full" for worker in self.machines.query("workers")["workers"])

    def fill(self, strikes):
        """Until nobody takes writes any more. `strikes` by the number of the round."""
        number, acknowledged, until_s = 0, None, time.monotonic() + 2 * PATIENCE_S
        while acknowledged != 0 or not self.all_full():
            acknowledged = self.filler.write(strike=self.strike_of(strikes.get(number)))
            self.revive()
            number += 1
            if time.monotonic() > until_s:
                raise Violation(f"the disks do not become full: {self.machines.query('workers')}")
            if len(self.filler.kept()) * VALUE_BYTES > len(WORKERS) * (DISK_BYTES - RESERVE_BYTES):
                raise Violation("more was taken than the disks hold beside their reserve")
        self.tell(f"full with {len(self.filler.kept()) * VALUE_BYTES // MIB} MiB")

    def check_reserves(self):
        """There is room for deletes, and for a start, which writes what the log holds to tables before the log goes."""
        for worker in self.machines.query("workers")["workers"]:
            log_bytes = self.log_bytes(worker["name"])
            if worker["disk_free_bytes"] < RESERVE_BYTES // 2 or worker["disk_free_bytes"] < log_bytes:
                raise Violation(f"the reserve was used for something else, with {log_bytes} bytes in the log: {worker}")

    def stay_full(self):
        """Whoever is killed while writes wait, the reserves stay. A start makes some room, and writes go on until that is used up too."""
        for name in self.staying:
            self.check_reserves()
            self.fill({0: name})
        self.check_reserves()

    def make_room(self):
        """Deletes pass, whoever is killed, and writes return."""
        victims = self.filler.kept()
        self.chance.shuffle(victims)
        victims = victims[: len(victims) * 9 // 10]
        rounds = [victims[place : place + ROUND] for place in range(0, len(victims), ROUND)]
        for number, numbers in enumerate(rounds):
            self.filler.delete(numbers, self.strike_of(self.emptying.get(number)))
            self.revive()
        self.machines.wait_stats(lambda stats: not stats["alarms"] and all(worker["state"] == "up" for worker in stats["workers"]))
        acknowledged = self.filler.write(deadline_ms=int(PATIENCE_S * 1000))
        if acknowledged != ROUND:
            raise Violation(f"of {ROUND} writes only {acknowledged} were taken when there was room again")

    def check_start(self):
        """An empty disk is free: nothing has taken room for what may be written later."""
        for name in WORKERS:
            disk = os.statvfs(self.machines.directory / name)
            if disk.f_bavail * disk.f_frsize < DISK_BYTES - RESERVE_BYTES // 2:
                raise Violation(f"of the disk of {name}, which holds next to nothing, {disk.f_bavail * disk.f_frsize // MIB} MiB are free")

    def strike(self):
        self.check_start()
        self.fill(self.filling)
        self.stay_full()
        self.make_room()

    def check_figures(self):
        super().check_figures()
        there = self.filler.compare()
        self.tell(f"{there} large values compared, {len(self.filler.gone)} deleted, {self.loud} loud ends")


def run(seed):
    """Whether all was well, and a line for people."""
    began_s = time.monotonic()
    machines = SmallDisks(workers=len(WORKERS))
    cycle = SmallDiskCycle(machines, seed)
    try:
        said, well = cycle.run(), True
        machines.stop()
    except (Violation, AssertionError, subprocess.TimeoutExpired) as error:
        said, well = f"{error}\n{machines.logged()}", False
    finally:
        machines.close()
        machines.remove()
    print(f"small disks, seed {seed}: {', '.join(cycle.told)}: {said} {'ok' if well else 'FAILED'} {time.monotonic() - began_s:.1f} s", flush=True)
    return well


def why_not():
    """None when file systems can be mounted here, else the cause. Where it helps, does not return but goes on as root of a namespace."""
    with tempfile.TemporaryDirectory(prefix="evenkeel-mount-") as directory:
        why = mount(directory)
        if why is None:
            subprocess.run(["umount", directory], check=True)
            return None
        inside = ["unshare", "-Urm"]
        try:
            probe = subprocess.run([*inside, "mount", "-t", "tmpfs", "tmpfs", directory], capture_output=True, text=True, check=False)
        except OSError as error:
            return f"{why}; {error}"
    if probe.returncode:
        return f"{why}; in a user namespace: {probe.stderr.strip()}"
    os.execvp(inside[0], [*inside, sys.executable, *sys.argv])
    return None


def main():
    why = why_not()
    if why:
        print(f"small disks: skipped, no file system can be mounted: {why}", flush=True)
        return SKIPPED
    return 0 if run(int(sys.argv[1]) if len(sys.argv) > 1 else 1) else 1


if __name__ == "__main__":
    sys.exit(main())
