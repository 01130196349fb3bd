# SPDX-License-Identifier: MIT
"""Whether python/imgrec/_header.py is what imgrec.h declares: written from it,
and with the functions, members, sizes and values that tests/abi/ keeps, which
were found by other means.  From the root of the repository, with the package
on PYTHONPATH."""
import ctypes
import pathlib
import re
import subprocess
import sys

from imgrec import _header

problems = []


def same(what, ours, theirs):
    if ours != theirs:
        problems.append("%s: %s in Python, %s in C" % (what, ours, theirs))


def enumerators():
    """{value} of each name without its prefix: names are unique but for it."""
    found = {}
    for kind in vars(_header).values():
        if isinstance(kind, type) and issubclass(kind, _header.IntEnum):
            for name, member in kind.__members__.items():
                found.setdefault(name, set()).add(int(member))
    return found


def check_layout():
    values = enumerators()
    members = {}
    for line in pathlib.Path("tests/abi/layout.h").read_text().split("\n"):
        m = re.fullmatch(r"(MEMBER|SIZE|VALUE)\((.*)\)", line)
        if not m:
            continue
        words = m[2].split(", ")
        if m[1] == "VALUE":
            name = words[0][len("IMGREC_"):]
            if not any(int(words[1]) in numbers for known, numbers
                       in values.items() if name.endswith(known)):
                problems.append("%s is missing, or not %s" % (name, words[1]))
            continue
        struct = getattr(_header, words[0])
        if m[1] == "SIZE":
            same("sizeof " + words[0], ctypes.sizeof(struct), int(words[1]))
        else:
            members.setdefault(words[0], set()).add(words[1])
            same(".".join(words[:2]), getattr(struct, words[1]).offset,
                 int(words[2]))
    for struct, names in members.items():
        same(struct, {f[0] for f in getattr(_header, struct)._fields_}, names)


def check_functions():
    kept = set(pathlib.Path("tests/abi/symbols.txt").read_text().split())
    same("functions", set(_header.FUNCTIONS), kept)


def check_written():
    written = subprocess.run(
        [sys.executable, "scripts/python_header.py", "include"],
        capture_output=True, text=True, check=True).stdout
    if written != pathlib.Path("python/imgrec/_header.py").read_text():
        problems.append("python/imgrec/_header.py is not that of imgrec.h: "
                        "make python-header")


if ctypes.sizeof(ctypes.c_void_p) == 8:
    check_layout()
check_functions()
check_written()
print("\n".join(problems) or "declarations agree")
sys.exit(1 if problems else 0)
