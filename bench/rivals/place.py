# SPDX-License-Identifier: MIT
"""Where everything is, the Python of the frameworks, and this machine."""
import os
import pathlib
import platform
import subprocess
import sys
from types import SimpleNamespace

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
BUILD = ROOT / "build"
DATA = pathlib.Path(os.environ.get("IMGREC_DATA", BUILD / "data"))


def note(text):
    print(text, file=sys.stderr, flush=True)


def environment():
    """The Python of the frameworks, and what every worker's environment has."""
    path = os.environ.get("IMGREC_RIVALS_ENV")
    folder = pathlib.Path(path) if path else BUILD / "rivals-env"
    python = folder / "bin" / "python"
    if not python.exists():
        note(f"setting up {folder}")
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r",
                        FOLDER / "requirements.txt"], check=True)
    cache = BUILD / "rivals-cache"
    cache.mkdir(parents=True, exist_ok=True)
    subprocess.run(["make", "-s", "-C", ROOT, "all"], check=True)
    variables = {"IMGREC_LIBRARY": str(BUILD / "libimgrec.so"),
                 "IMGREC_RIVALS_CACHE": str(cache),
                 "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
                 "TF_CPP_MIN_LOG_LEVEL": "3"}
    return SimpleNamespace(python=str(python), cache=cache,
                           variables=variables)


def first_line(path, key):
    with open(path) as file:
        line = next(line for line in file if line.startswith(key))
    return line.split(":")[1].strip()


def machine():
    thp = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {"cpu": first_line("/proc/cpuinfo", "model name"),
            "cores": os.cpu_count(),
            "memory": first_line("/proc/meminfo", "MemTotal"),
            "kernel": platform.release(),
            "huge_pages": thp.read_text().strip() if thp.exists() else "no",
            "load": os.getloadavg()[0]}
