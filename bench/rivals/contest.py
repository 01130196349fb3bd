# SPDX-License-Identifier: MIT
"""Contestants as processes that take turns: tuning each, then the race."""
import json
import os
import signal
import statistics
import subprocess

from place import FOLDER, note

LIBRARIES = "/usr/lib/x86_64-linux-gnu/"

# Allocators, each as the variables that choose it.  Freed memory is kept, huge
# pages are asked for: the first touch of a page costs more than its use.
MALLOCS = {
    "glibc": {},
    "glibc tuned": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:"
                    "glibc.malloc.mmap_max=0:glibc.malloc.top_pad=67108864:"
                    "glibc.malloc.trim_threshold=17179869184"},
    "jemalloc": {"LD_PRELOAD": LIBRARIES + "libjemalloc.so.2",
                 "MALLOC_CONF": "thp:always,metadata_thp:auto,"
                 "dirty_decay_ms:-1,muzzy_decay_ms:-1"},
    "tcmalloc": {"LD_PRELOAD": LIBRARIES + "libtcmalloc_minimal.so.4",
                 "TCMALLOC_RELEASE_RATE": "0"},
}

# Name: backend, modes of a forward, modes of a training step; the last is the
# one to take untuned.
CONTESTANTS = {
    "imgrec": ("imgrec", [""], [""]),
    "PyTorch": ("torch", ["compile", "jit", "mkldnn", "eager"],
                ["compile", "eager"]),
    "TensorFlow": ("tensorflow", ["xla", "graph"], ["xla", "graph"]),
    "ONNX Runtime": ("onnxruntime", ["no spinning", "spinning"], []),
    "OpenVINO": ("openvino", ["throughput", "latency"], []),
    "ncnn": ("ncnn", ["side by side", "in turn"], []),
    "XNNPACK": ("tensorflow", ["lite"], []),
    "oneDNN": ("onednn", ["direct", "winograd"], ["direct", "winograd"]),
}
CHAINS = "mnist", "cifar", "seed"  # the nets that onednn_chain.cpp can do

failures = []  # sentences; the run ends with status 1 when there are any


def available(malloc):
    return os.path.exists(MALLOCS[malloc].get("LD_PRELOAD", "/"))


class Worker:
    """A process that is stopped whenever it is not its turn."""

    def __init__(self, setup, backend, malloc, threads):
        environment = {**os.environ, **MALLOCS[malloc], **setup.variables,
                       "OMP_NUM_THREADS": str(threads)}
        self.log = open(setup.cache / f"{backend}.log", "a")
        self.process = subprocess.Popen(
            [setup.python, FOLDER / "worker.py", backend, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            env=environment, text=True)

    def ask(self, **request):
        """The reply; {"error": ...} when the process has died."""
        process = self.process
        if process.poll() is not None:
            return {"error": "the process has ended"}
        process.send_signal(signal.SIGCONT)
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            reply = json.loads(process.stdout.readline() or "null")
        except OSError:
            reply = None
        if reply is None:
            return {"error": f"the process ended, {process.wait()}"}
        process.send_signal(signal.SIGSTOP)
        return reply

    def close(self):
        self.process.kill()
        self.process.wait()
        for file in self.process.stdin, self.process.stdout, self.log:
            file.close()


class Pool:
    """Workers by backend, allocator and threads, kept between works."""

    def __init__(self, setup):
        self.setup, self.workers = setup, {}

    def get(self, *key):
        worker = self.workers.get(key)
        if worker is None or worker.process.poll() is not None:
            worker = self.workers[key] = Worker(self.setup, *key)
        return worker

    def close(self, keep=()):
        for key in set(self.workers) - set(keep):
            self.workers.pop(key).close()

    def drop(self):
        for worker in self.workers.values():
            worker.ask(cmd="drop")


def modes_of(name, work, quick):
    """Pairs of mode and allocator to try: every mode with the tuned malloc,
    then the other mallocs with the best of them (mode None) where a framework
    allocates its activations with malloc."""
    _, forward, step = CONTESTANTS[name]
    modes = step if work["kind"] == "step" else forward
    if name == "imgrec":
        return [("", "glibc")]
    if work["batch"] == 1:
        modes = [m for m in modes if m not in ("throughput", "side by side")]
    if name == "oneDNN" and work["net"] not in CHAINS:
        return []
    if quick or not modes:
        return [(mode, "glibc tuned") for mode in modes[-1:]]
    others = {"PyTorch": ["glibc", "jemalloc", "tcmalloc"],
              "TensorFlow": ["glibc"]}  # where the others change nothing
    return [(mode, "glibc tuned") for mode in modes] + [
        (None, malloc) for malloc in others.get(name, [])
        if work["batch"] > 1 and available(malloc)]


def prepare(worker, work, mode):
    return worker.ask(cmd="prepare", net=work["net"], kind=work["kind"],
                      batch=work["batch"], mode=mode)


def turn(worker, seconds, estimate):
    """Median over as many steps as fit, three at least."""
    count = max(3, min(1000, int(seconds / max(estimate, 1e-6))))
    reply = worker.ask(cmd="run", n=count)
    return reply if "error" in reply else statistics.median(reply["seconds"])


def same(kind, answer, reference):
    """Do two contestants compute the same?  The second loss of a step, behind
    Adam's first update, may differ more."""
    bound = 1e-3 * max(1, *map(abs, reference))
    bounds = [bound, 0.02 * abs(reference[1])] if kind == "step" else (
        [bound] * len(reference))
    return len(answer) == len(reference) and all(
        abs(a - b) <= bound
        for a, b, bound in zip(answer, reference, bounds))


def attempt(pool, name, work, mode, malloc, threads, seconds, reference):
    """(median or None, remark, answer)"""
    worker = pool.get(CONTESTANTS[name][0], malloc, threads)
    ready = prepare(worker, work, mode)
    if "error" in ready:
        return None, ready["error"], None
    if reference and not same(work["kind"], ready["answer"], reference):
        failures.append(f"{work['name']}: {name} ({mode}) computes something "
                        f"else: {ready['answer'][:3]}, not {reference[:3]}")
        return None, "other answer", None
    first = turn(worker, 0, 1)
    if isinstance(first, dict):
        return None, first["error"], None
    long = 3 * first > seconds
    result = first if long else turn(worker, seconds, first)
    worker.ask(cmd="drop")
    return result, None, ready["answer"]


def tune(pool, name, work, options, reference):
    """The best mode and allocator of a contestant, all that was tried."""
    best, tried, answer = None, [], None
    for mode, malloc in modes_of(name, work, options.quick):
        if mode is None and best is None:
            break
        mode = best["mode"] if mode is None else mode
        median, remark, one = attempt(
            pool, name, work, mode, malloc, options.threads[0],
            0.6 * options.turn, reference)
        tried.append({"mode": mode, "malloc": malloc, "median": median,
                      "remark": remark})
        shown = remark or f"{1e3 * median:.3f} ms"
        note(f"  {name:13} {mode:13} {malloc:12} {shown}")
        if median is not None and (not best or median < best["median"]):
            best, answer = tried[-1], one
    if best:
        best = {"mode": best["mode"], "malloc": best["malloc"],
                "tried": tried}
    return best, answer


def race(pool, work, choices, threads, passes, seconds):
    """Alternates A B C A B C ...: medians of each contestant by pass."""
    workers, estimates, medians = {}, {}, {name: [] for name in choices}
    for name, choice in choices.items():
        key = CONTESTANTS[name][0], choice["malloc"], threads
        worker = Worker(pool.setup, *key) if name == "XNNPACK" and (
            pool.get(*key) in workers.values()) else pool.get(*key)
        ready = prepare(worker, work, choice["mode"])
        estimate = turn(worker, 0, 1) if "error" not in ready else ready
        if isinstance(estimate, dict):
            note(f"  {name}: {estimate['error']}")
            continue
        workers[name], estimates[name] = worker, estimate
    for _ in range(passes):
        for name, worker in workers.items():
            median = turn(worker, seconds, estimates[name])
            if not isinstance(median, dict):
                medians[name].append(median)
                estimates[name] = median
    for worker in set(workers.values()) - set(pool.workers.values()):
        worker.close()
    return {name: values for name, values in medians.items() if values}
