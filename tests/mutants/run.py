#!/usr/bin/python3
"""Puts one bug at a time into a copy of the product and asks the simulation whether it notices.

    run.py [SEEDS [NAME...]]

Each tests/mutants/NAME.patch begins with a line that says what the bug is. Prints a table of which was caught, after how many seeds, and
by what; then how many were caught and missed. BUILD names a directory for objects (default build/mutants).
"""
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests", "mutants")
PARTS = ["Makefile", "common", "broker", "worker", "client", "tests/sim"]


def copy_tree(to):
    for part in PARTS:
        source, target = os.path.join(ROOT, part), os.path.join(to, part)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)


def build(tree):
    command = ["make", "-j2", "-C", tree, "BUILD=objects", "OPTIMIZE=-O1 -g", "objects/bin/evenkeel-sim"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return None if done.returncode == 0 else done.stdout


def judge(tree, seeds):
    """How many seeds it took, and the first line of what was said; None when nothing was noticed."""
    program = os.path.join(tree, "objects", "bin", "evenkeel-sim")
    done = subprocess.run([program, "-x", str(seeds), "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    last = re.search(r"^(\d+) passed, (\d+) failed$", done.stdout, re.M)
    if last and last.group(2) == "0":
        return None
    said = re.search(r"^VIOLATION\s+\S+ (.*)$|^(seed \d+: killed.*|FAILED.*)$", done.stdout, re.M)
    return int(last.group(1)) + 1 if last else 0, (said.group(1) or said.group(2)) if said else "it broke down"


def main():
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    names = sys.argv[2:] or sorted(name[:-6] for name in os.listdir(HERE) if name.endswith(".patch"))
    work = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build", "mutants")))
    shutil.rmtree(work, ignore_errors=True)
    base = os.path.join(work, "base")
    copy_tree(base)
    failure = build(base)
    if failure:
        sys.exit(failure)
    missed = []
    print(f"{'mutant':34} {'seeds':>5}  how it was noticed", flush=True)
    for name in names:
        tree = os.path.join(work, name)
        shutil.copytree(base, tree)
        patch = os.path.join(HERE, name + ".patch")
        applied = subprocess.run(["patch", "-s", "-p1", "-d", tree, "-i", patch], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        failure = applied.stdout if applied.returncode else build(tree)
        caught = (0, "it cannot be built: " + failure.strip().splitlines()[0]) if failure else judge(tree, seeds)
        if failure or not caught:
            missed.append(name)
        print(f"{name:34} {caught[0] if caught else '-':>5}  {caught[1][:110] if caught else 'MISSED'}", flush=True)
        shutil.rmtree(tree)
    print(f"{len(names) - len(missed)} caught, {len(missed)} missed", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
