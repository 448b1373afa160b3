#!/usr/bin/python3
"""Puts one bug at a time into a copy of the product and asks the simulation whether it notices.

    run.py [--seeds N] [--write] [NAME...]

Each tests/mutants/NAME.patch begins with a line that says what the bug is; lines that may follow it, before the first empty one:

    seeds: N    so many are tried, instead of 500
    by: chaos   the simulation cannot reach it; it is only built here, and left to the chaos run

Two are tried at a time. Caught is only what the simulation itself calls a violation. A patch that does not apply or cannot be built, a
simulation that is killed by a signal or says nothing, has caught nothing: it is BROKEN, told as such, and a failure as one that is missed.
In the end the product as it is has to pass the seeds that bugs were noticed in.
The table says after how many seeds each was caught, and by what; --write puts it into tests/mutants/RESULTS.md as well. BUILD names a
directory for objects (default build/mutants).
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests", "mutants")
RESULTS = os.path.join(HERE, "RESULTS.md")
PARTS = ["Makefile", "common", "broker", "worker", "client", "tests/sim", "tests/support"]
AT_A_TIME = 2
DEFAULT_SEEDS = 500
CAUGHT, MISSED, BROKEN, CHAOS = "caught", "MISSED", "BROKEN", "chaos"


class Mutant:
    """A patch, and what became of it."""

    def __init__(self, name):
        self.name = name
        self.path = os.path.join(HERE, name + ".patch")
        with open(self.path, encoding="utf-8") as patch:
            head = patch.read().split("\n\n", 1)[0].splitlines()
        self.bug = head[0]
        options = dict(line.split(": ", 1) for line in head[1:])
        self.seeds = int(options.pop("seeds", 0))
        self.by_chaos = options.pop("by", "") == "chaos"
        if options:
            sys.exit(f"{self.path}: it says {', '.join(options)}, which means nothing")
        self.result, self.needed, self.said = BROKEN, 0, ""

    def end(self, result, said, needed=0):
        self.result, self.said, self.needed = result, said, needed


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)


def copy_tree(to):
    for part in PARTS:
        source, target = os.path.join(ROOT, part), os.path.join(to, part)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)


def build(tree, jobs):
    return run("make", f"-j{jobs}", "-C", tree, "BUILD=objects", "objects/bin/evenkeel-sim")


def judge(mutant, tree, seeds):
    done = run(os.path.join(tree, "objects", "bin", "evenkeel-sim"), "-x", str(seeds), "1")
    last = re.search(r"^(\d+) passed, (\d+) failed, (\d+) undecided$", done.stdout, re.M)
    killed = re.search(r"^seed \d+: killed.*$", done.stdout, re.M)
    if not last or killed:
        mutant.end(BROKEN, killed.group(0) if killed else f"the simulation ended with {done.returncode} and said nothing")
        return
    passed, failed, undecided = map(int, last.groups())
    if not failed:
        mutant.end(MISSED, f"in {passed} seeds" + (f", {undecided} of them undecided" if undecided else ""))
        return
    said = re.search(r"^VIOLATION\s+\S+ (.*)$|^FAILED (seed \d+ does not repeat itself)", done.stdout, re.M)
    if said:
        mutant.end(CAUGHT, said.group(1) or said.group(2), passed + undecided + 1)
    else:
        mutant.end(BROKEN, "a seed failed without saying why")


def try_mutant(mutant, base, work, seeds):
    tree = os.path.join(work, mutant.name)
    shutil.copytree(base, tree)
    applied = run("patch", "-s", "-p1", "-F0", "-d", tree, "-i", mutant.path)
    built = None if applied.returncode else build(tree, 1)
    if applied.returncode:
        mutant.end(BROKEN, "it does not apply: " + applied.stdout.strip().splitlines()[0])
    elif built.returncode:
        errors = [line for line in built.stdout.splitlines() if "error" in line] or built.stdout.splitlines()
        mutant.end(BROKEN, "it cannot be built: " + errors[0])
    elif mutant.by_chaos:
        mutant.end(CHAOS, "left to the chaos run")
    else:
        judge(mutant, tree, seeds or mutant.seeds or DEFAULT_SEEDS)
    shutil.rmtree(tree)
    return mutant


def judge_base(base, mutants):
    """The product without a bug has to pass all seeds that a bug was noticed in. What it says when it does not, or None."""
    seeds = max((mutant.needed for mutant in mutants), default=0)
    done = run(os.path.join(base, "objects", "bin", "evenkeel-sim"), "-x", str(seeds), "1")
    return done.stdout if done.returncode else None


def closing_line(mutants):
    counts = [sum(mutant.result == result for mutant in mutants) for result in (CAUGHT, MISSED, BROKEN, CHAOS)]
    return "{} caught, {} missed, {} broken, {} left to the chaos run".format(*counts)


def write_results(mutants, command):
    with open(RESULTS, "w", encoding="utf-8") as page:
        page.write(f"# Which bug is caught, and how\n\nMade by `{command}`: each line is a patch of this directory, put alone into a copy of the "
                   "product. Seeds are tried from 1 on,\nuntil one shows a violation; what was said of it is the last column.\n\n"
                   "| patch | the bug | result | seeds | noticed as |\n| --- | --- | --- | --- | --- |\n")
        for mutant in mutants:
            said = mutant.said.replace("|", "\\|")
            page.write(f"| {mutant.name} | {mutant.bug} | {mutant.result} | {mutant.needed or ''} | {said} |\n")
        page.write(f"\n{closing_line(mutants)}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = options.names or sorted(name[:-6] for name in os.listdir(HERE) if name.endswith(".patch"))
    mutants = [Mutant(name) for name in names]
    work = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build", "mutants")))
    shutil.rmtree(work, ignore_errors=True)
    base = os.path.join(work, "base")
    copy_tree(base)
    built = build(base, AT_A_TIME)
    if built.returncode:
        sys.exit(built.stdout)
    print(f"{'mutant':34} {'result':6} {'seeds':>5}  how it was noticed", flush=True)
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        for mutant in pool.map(lambda each: try_mutant(each, base, work, options.seeds), mutants):
            print(f"{mutant.name:34} {mutant.result:6} {mutant.needed or '-':>5}  {mutant.said[:120]}", flush=True)
    print(closing_line(mutants), flush=True)
    fault_of_base = judge_base(base, mutants)
    if fault_of_base:
        sys.exit("This says little, since the product as it is does not pass these seeds:\n" + fault_of_base)
    if options.write:
        write_results(mutants, "make mutants WRITE=1" + (f" SEEDS={options.seeds}" if options.seeds else ""))
    return 1 if any(mutant.result in (MISSED, BROKEN) for mutant in mutants) else 0


if __name__ == "__main__":
    sys.exit(main())
