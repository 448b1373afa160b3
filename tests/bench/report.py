#!/usr/bin/python3
"""Measures Evenkeel beside what it stands on and what it stands beside, and writes docs/BENCHMARKS.md.

    report.py [--quick] [--rounds N] [--only NAME...] [--out docs/BENCHMARKS.md] [--from FIGURES.json]

Every round measures everything once, in turn. The figures are kept in BUILD/bench/figures.json after each round; --from writes the page from such
a file without measuring. --only takes parts of the measurements' names (storage, evenkeel, db_bench, redis, echo, broker, sizes, few_keys,
many_keys, producers, shards, full_queue). Exit 0 when everything could be measured, whatever the figures are.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import sys
import tempfile
import time

import measurements
import pages
from measurements import QUICK, Plan, Samples
from rows import judge
from systems import BUILD

ROOM = BUILD / "bench"


def measure_round(plan, samples, kept, wanted, failures):
    for measure in measurements.ALL:
        name = measure.__name__.removeprefix("measure_")
        if wanted and name not in wanted:
            continue
        began = time.monotonic()
        try:
            measure(plan, samples, kept)
        except Exception as error:  # what was measured so far is not lost for one that failed
            failures.append(f"{name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            print(f"{name} FAILED: {error}", file=sys.stderr)
        print(f"  {name}: {time.monotonic() - began:.0f} s", flush=True)


def measure_all(plan, wanted):
    """Round after round, as many as the time allows. What the page is written from; it is kept after each round."""
    samples, failures = Samples(), []
    run = {"plan": dataclasses.asdict(plan), "samples": samples.values, "failures": failures, "rounds": 0, "began": time.time(), "took_s": 0,
           "load": os.getloadavg()[0], "machine": pages.machine()}
    longest = 0
    with measurements.kept_stores(plan) as kept:
        while run["rounds"] < plan.rounds and run["took_s"] + longest < plan.limit_s:
            started = time.monotonic()
            print(f"round {run['rounds'] + 1} of {plan.rounds}", flush=True)
            measure_round(plan, samples, kept, wanted, failures)
            took_s = time.monotonic() - started
            longest = max(longest, took_s - kept.take_opening_s())
            run["rounds"] += 1
            run["took_s"] += took_s
            (ROOM / "figures.json").write_text(json.dumps(run, indent=1))
    return run


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--out", type=pathlib.Path, default=pages.ROOT / "docs" / "BENCHMARKS.md")
    parser.add_argument("--from", dest="source", type=pathlib.Path)
    options = parser.parse_args()
    ROOM.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(ROOM)
    if options.source:
        run = json.loads(options.source.read_text())
    else:
        plan = QUICK if options.quick else Plan()
        run = measure_all(dataclasses.replace(plan, rounds=options.rounds or plan.rounds), options.only)
    plan, samples = Plan(**run["plan"]), Samples(run["samples"])
    pages.write(options.out, plan, samples, run)
    for row in judge(plan, samples):
        verdict = {True: "reached", False: "NOT reached", None: "not measured"}[row.reached()]
        print(f"{row.number:>3}  {pages.spread(row.values, row.unit and ' ' + row.unit):>28}  {'>=' if row.at_least else '<='} {row.bound:<6g}{verdict:<14}{row.measure}")
    print(f"written to {options.out}")
    sys.exit(1 if run["failures"] else 0)


if __name__ == "__main__":
    main()
