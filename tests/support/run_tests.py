#!/usr/bin/python3
"""Runs test programs, two at a time, and says in one last plain line how many tests passed and failed; a skipped one did neither.

    run_tests.py PROGRAM|SCRIPT.py ...

A program is a Check binary, a script a Python unittest file. Output is shown of those that fail. TESTS_TIMEOUT (seconds, default 600)
bounds each one; TESTS_JOBS says how many run at a time.
"""
import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import time

TIMEOUT_S = int(os.environ.get("TESTS_TIMEOUT", "600"))
JOBS = int(os.environ.get("TESTS_JOBS", "2"))


def counts(path, output, code):
    """How many tests passed, failed and were skipped, as Check or unittest say it. A program that ends without a summary has failed once."""
    skipped = 0
    if path.endswith(".py"):
        ran = re.search(r"^Ran (\d+) tests? in", output, re.M)
        bad = re.search(r"^FAILED \((.*)\)", output, re.M)
        left_out = re.search(r"^(?:OK|FAILED) \(.*\bskipped=(\d+)", output, re.M)
        skipped = int(left_out.group(1)) if left_out else 0
        failed = sum(int(n) for n in re.findall(r"(?:failures|errors|unexpected successes)=(\d+)", bad.group(1))) if bad else 0
        total = int(ran.group(1)) if ran else 0
    else:
        said = re.search(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", output, re.M)
        total = int(said.group(1)) if said else 0
        failed = int(said.group(2)) + int(said.group(3)) if said else 0
    if total == 0 or (code and not failed):
        failed += 1
    return max(total - failed - skipped, 0), failed, skipped


def run(path):
    command = [sys.executable, path] if path.endswith(".py") else [path]
    started = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output = child.communicate(timeout=TIMEOUT_S)[0]
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        output = child.communicate()[0] + f"\nkilled after {TIMEOUT_S} s\n".encode()
    return path, output.decode(errors="replace"), child.returncode, time.monotonic() - started


def main():
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, path) for path in sys.argv[1:]]):
            path, output, code, seconds = done.result()
            good, bad, left_out = counts(path, output, code)
            passed, failed, skipped = passed + good, failed + bad, skipped + left_out
            said = f"{good} passed, {bad} failed" + (f", {left_out} skipped" if left_out else "")
            print(f"{'ok    ' if not bad else 'FAILED'} {path} ({said}, {seconds:.1f} s)", flush=True)
            if bad:
                print(output, flush=True)
    if skipped:
        print(f"{skipped} skipped, which cannot run here", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
