# SPDX-License-Identifier: MIT
"""One contestant as a process: worker.py BACKEND THREADS, JSON lines in and
out.  {"cmd": "prepare", "net": ..., "kind": "forward" or "step", "batch": n,
"mode": ...} makes one net ready and gives its answer, {"cmd": "run", "n": k}
the seconds of each of k steps, {"cmd": "drop"} lets the net go."""
import ctypes
import importlib
import json
import os
import signal
import sys
import time

WARM_UP = 0.05  # seconds, at least one step


def peak_bytes():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def run(step, count):
    begin = time.perf_counter()
    while True:
        step()
        if time.perf_counter() - begin > WARM_UP:
            break
    seconds = []
    for _ in range(count):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    return seconds


def main():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # do not outlive the driver
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    backend = importlib.import_module("with_" + sys.argv[1])
    backend.setup(int(sys.argv[2]))
    step = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["cmd"] == "run":
                reply = {"seconds": run(step, request["n"])}
            elif request["cmd"] == "version":
                reply = {"version": backend.version(request["mode"])}
            elif request["cmd"] == "drop":
                step, reply = None, {}
            else:
                step = None  # gives its memory back first
                begin = time.perf_counter()
                step, answer = backend.prepare(
                    request["net"], request["kind"], request["batch"],
                    request["mode"])
                if request["kind"] == "forward":
                    for _ in range(2):  # some compile at the second run
                        step()
                reply = {"answer": [float(v) for v in answer],
                         "seconds": time.perf_counter() - begin,
                         "planned_bytes": getattr(step, "planned_bytes", 0)}
            reply["peak_bytes"] = peak_bytes()
        except Exception as error:  # a mode that this version cannot do
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


main()
