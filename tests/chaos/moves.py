#!/usr/bin/python3
"""Moves of shards between real processes under load, each with somebody killed at a random step of it; and a judge.

    moves.py MOVES [SEED]

Each move is a cycle of the chaos run (chaos.py) with a seed of its own: at a chosen phase its source, its target or the broker is killed, loses
its power or is paused, and comes back; then every call of the producers is judged. Some cycles drain a worker instead, or begin with one that
joins. In the end, when nothing moves any more: what was stored in the beginning is read, every key once and equal; `evenkeel check` is clean; the
ledger balances. Prints a line a move, how often each phase was hit, and last how many passed and failed.
"""
import collections
import json
import pathlib
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "support"), str(pathlib.Path(__file__).resolve().parent)]

import chaos  # noqa: E402
import msgpack  # noqa: E402
from changes import OVER  # noqa: E402
from cluster import PATIENCE_S, SLOWER  # noqa: E402

PHASES = ("queued", "copying", "catching_up", "holding", "releasing", "cleaning")
LASTS_S = {"copying": 0.5, "cleaning": 2}  # about so long; the others are over in milliseconds
AIMS = ("copying", "holding", "queued", "copying", "catching_up", "releasing", "copying", "holding", "cleaning", "copying", "catching_up")  # in turn
STRIKES = ("kill", "kill", "kill", "power cut", "pause")
DRAIN_EVERY = 10
KEPT, KEPT_BYTES = 256, 64 << 10
COPY_BYTES_PER_SECOND = 4 << 20  # of some two million of a shard
MOVE_S, CLEAN_S = 30 * SLOWER, 60 * SLOWER
hits = collections.Counter()


def kept(number):
    return b"kept%d" % number, bytes([number % 251]) * KEPT_BYTES


def make_machines(workers):
    """With rows that nobody writes again, so that a copy is not over before somebody can die in it."""
    machines = chaos.Machines(workers=workers)
    store = machines.store()
    for number in range(KEPT):
        store.put(*kept(number))
    machines.admin("balance", "limit", str(COPY_BYTES_PER_SECOND))
    return machines


class Follower:
    """Asks for one move's phase again and again; the answers are some hundred microseconds apart."""

    def __init__(self, machines, number):
        self.number = number
        self.socket = machines.raw(timeout_s=PATIENCE_S)

    def all(self):
        self.socket.send(msgpack.packb([1, 5, 1, "moves"]))
        return json.loads(msgpack.unpackb(self.socket.recv())[4])["moves"]

    def phase(self):
        """None of a move that its broker took with it."""
        return next((move["phase"] for move in self.all() if move["move"] == self.number), None)

    def wait(self, phases, timeout_s):
        until_s = time.monotonic() + timeout_s
        while (phase := self.phase()) is not None and phase not in phases:
            if time.monotonic() > until_s:
                raise chaos.Violation(f"move {self.number} stands still: {phase}; not over: {[move for move in self.all() if not move['ended_unix_ms']]}")
        return phase


class Move(chaos.Cycle):
    """One move, and somebody who is struck in the middle."""

    def hit(self, victim, role, phase):
        kind = self.chance.choice(STRIKES)
        hits[phase, role, kind] += 1
        self.tell(f"{kind} {victim} ({role}, {phase})")
        if kind == "power cut":
            self.machines.cut_power([victim], self.chance)
        elif kind == "pause":
            self.pause(self.machines.process(victim).child)
            self.wait_until(time.monotonic() + chaos.LIVENESS_MS / 1000 * self.chance.uniform(0.2, 1.8))
            self.go_on()
        else:
            self.kill([victim])
            self.wait_until(time.monotonic() + self.chance.uniform(0, 0.3))
        self.start([victim])

    def one_move(self):
        asked = self.changes.move()
        if not asked:
            raise chaos.Violation("no shard can be moved")
        number, source, target = asked
        follower = Follower(self.machines, number)
        role = self.chance.choice(["source", "target", "broker"])
        self.tell(f"move {number} from {source} to {target}")
        aim = AIMS[self.number % len(AIMS)]
        phase = follower.wait(PHASES[PHASES.index(aim):] + OVER, MOVE_S)
        if phase in LASTS_S:
            self.wait_until(time.monotonic() + self.chance.uniform(0, LASTS_S[phase]))
            phase = follower.phase() or phase
        self.hit({"source": source, "target": target, "broker": "broker"}[role], role, phase)
        phase = follower.wait(OVER, MOVE_S)
        follower.socket.close()
        self.tell({None: "which is forgotten", "cleaning": "which is done"}.get(phase, f"which is {phase}"))

    def one_drain(self):
        """A worker gives everything away, whoever dies meanwhile, and leaves."""
        told = self.changes.drain()
        if not told:
            self.one_move()
            return
        self.tell(told)
        name = told.split()[1]
        self.wait_until(time.monotonic() + self.chance.uniform(0, 2))
        victim = self.chance.choice(self.machines.names())
        self.hit(victim, "broker" if victim == "broker" else "drained" if victim == name else "other", "drain")
        self.machines.wait_stats(lambda stats: any(worker["state"] == "drained" for worker in stats["workers"] if worker["name"] == name), MOVE_S)

    def strike(self):
        self.wait_until(time.monotonic() + self.chance.uniform(0.1, 0.3))
        if self.number % DRAIN_EVERY == 3:
            joined = self.changes.join()
            self.told += [joined] if joined else []
        (self.one_drain if self.number % DRAIN_EVERY == DRAIN_EVERY - 1 else self.one_move)()


def read_kept(machines):
    """Every key is there once, equal."""
    store = machines.store()
    found = collections.Counter()
    for key, _, value, _ in store.scan(b"kept", limit=20):
        found[key] += 1
        if (key, value) != kept(int(key[4:])):
            raise chaos.Violation(f"{key} came back different")
    if found != {kept(number)[0]: 1 for number in range(KEPT)}:
        raise chaos.Violation(f"not every key is there once: {len(found)} of {KEPT}, {[key for key, times in found.items() if times > 1]} more than once")


def run_check(machines):
    """`evenkeel check`, until nothing awaits deletion any more; what it said."""
    until_s = time.monotonic() + CLEAN_S
    while True:
        code, (answer,) = machines.cli("check", timeout_s=CLEAN_S)
        if answer["status"] == "usage":
            return "there is no `evenkeel check`"
        if code != 0 or answer["mismatches"] or answer["foreign_rows"]:
            raise chaos.Violation(f"check: {answer}")
        if answer["rows_awaiting_deletion"] == 0:
            return f"check: {answer['shards_checked']} shards, {answer['rows']} rows, clean"
        if time.monotonic() > until_s:
            raise chaos.Violation(f"rows are left: {answer}")


def finish(machines):
    """Once nothing moves: everything, once more."""
    machines.wait_stats(lambda stats: all(move["phase"] in ("done", "cancelled", "failed") for move in stats["moves"]), CLEAN_S)
    read_kept(machines)
    said = run_check(machines)
    machines.wait_stats(lambda stats: stats["ledger_balanced"] and not stats["alarms"])
    return f"{KEPT} kept keys equal, each once; {said}; ledger balanced"


def print_hits():
    for phase in (*PHASES, "done", "cancelled", "failed", "drain"):
        of_phase = {f"{kind} {role}": count for (at, role, kind), count in sorted(hits.items()) if at == phase}
        if of_phase:
            print(f"struck while {phase}: {sum(of_phase.values())} ({', '.join(f'{count} {what}' for what, count in of_phase.items())})", flush=True)


def main():
    moves = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    passed, failed = chaos.run_cycles(moves, seed, Move, make_machines, finish)
    print_hits()
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
