#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the house rules that a compiler does not: floors, sizes, names."""
import pathlib
import re
import subprocess
import sys

# Folders (and single files) of lib/ by floor; a file includes headers of its
# own floor or of lower ones.
FLOORS = {
    "base.h": 0, "context.h": 1, "kernels": 2, "tensor.h": 3, "ops": 4,
    "model": 5, "image": 6, "data": 6, "format": 6, "train": 7, "recognise": 8,
}
FLOOR_1 = {"context.c", "read.c"}
FLOOR_3 = {"tensor.c", "gemm.c", "qgemm.c", "im2col.c"}
FILE_LINES, FUNCTION_LINES = 600, 80
# The whole interface is one header, however much it comes to; in C++ too.
LONG_FILES = {"imgrec.h", "imgrec.hpp"}

problems = []


def problem(path, line, text):
    problems.append(f"{path}:{line}: {text}")


def floor_of(path):
    parts = path.relative_to("lib").parts
    if len(parts) > 1:
        return FLOORS[parts[0]]
    name = parts[0]
    if name in FLOORS:
        return FLOORS[name]
    return 1 if name in FLOOR_1 else 3 if name in FLOOR_3 else 0


def check_includes(path, lines):
    floor = floor_of(path)
    for number, line in enumerate(lines, 1):
        match = re.match(r'#include "([^"]+)"', line)
        if not match or match[1].startswith("imgrec/"):
            continue
        target = pathlib.Path("lib") / match[1]
        if not target.exists():
            target = path.parent / match[1]
        if not target.exists():
            problem(path, number, f"{match[1]} is not a header of lib/")
        elif target.suffix == ".h" and floor_of(target) > floor:
            problem(path, number, f"floor {floor} includes {match[1]} of "
                    f"floor {floor_of(target)}")
        if "stb" in match[1] and path.name != "decode.c":
            problem(path, number, "only image/decode.c includes stb")


def check_intrinsics(path, lines):
    for number, line in enumerate(lines, 1):
        if re.search(r"\b_mm\d*_|immintrin", line) and path.name not in (
                "simd.h", "qsimd.h", "cpu.c", "sha256_x86.c"):
            problem(path, number, "intrinsics belong to kernels/simd.h")


def check_command(path, lines):
    for number, line in enumerate(lines, 1):
        match = re.match(r'#include "([^"]+)"', line)
        if match and not (path.parent / match[1]).exists():
            problem(path, number, "src/ sees only include/ and its own files")


def check_form(path, lines):
    if "SPDX-License-Identifier: MIT" not in lines[0]:
        problem(path, 1, "the first line must be the SPDX line")
    if len(lines) > FILE_LINES and path.name not in LONG_FILES:
        problem(path, len(lines), f"more than {FILE_LINES} lines")
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            problem(path, number, "space at the end of the line")


def check_functions(path, lines):
    start = None
    for number, line in enumerate(lines, 1):
        if re.match(r"[a-zA-Z].*\)\s*\{$", line) or (
                re.match(r"^\s+.*\) \{$", line) and start is None
                and number > 1 and re.match(r"[a-zA-Z]", lines[number - 2])):
            start = number
        if line == "}" and start is not None:
            if number - start + 1 > FUNCTION_LINES:
                problem(path, start, f"a function of {number - start + 1} "
                        f"lines; {FUNCTION_LINES} is the limit")
            start = None


def check_unique(paths):
    seen = {}
    for path in paths:
        if path.name in seen and path.name != "README.md":
            problem(path, 1, f"its name is also that of {seen[path.name]}")
        seen[path.name] = path


def check_guide(path):
    """Where the guide says [`name`](file.c), that file defines that function;
    and no link of it leads nowhere."""
    for number, line in enumerate(
            path.read_text(encoding="utf-8").split("\n"), 1):
        for name, target in re.findall(r"\[([^\]]+)\]\(([^)#]+)\)", line):
            file = path.parent / target
            if not file.exists():
                problem(path, number, f"{target} is not there")
            elif name.startswith("`") and file.is_file() and not re.search(
                    rf"^\w[\w\s*]*\b{name[1:-1]}\(",
                    file.read_text(encoding="utf-8"), re.MULTILINE):
                problem(path, number, f"{target} has no function {name[1:-1]}")


def check_python_header():
    """The Python package's declarations are those of imgrec.h."""
    written = subprocess.run(
        [sys.executable, "scripts/python_header.py", "include"],
        capture_output=True, text=True, check=True).stdout
    path = pathlib.Path("python/imgrec/_header.py")
    if path.read_text(encoding="utf-8") != written:
        problem(path, 1, "imgrec.h declares something else: "
                "make python-header")


def main():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True).stdout.split("\n")
    paths = [pathlib.Path(p) for p in listed
             if p.endswith((".c", ".h", ".cpp", ".hpp")) and pathlib.Path(p).exists()]
    for path in paths:
        lines = path.read_text(encoding="utf-8").split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        check_form(path, lines)
        check_functions(path, lines)
        if path.parts[0] == "lib":
            check_includes(path, lines)
            check_intrinsics(path, lines)
        if path.parts[0] == "src":
            check_command(path, lines)
    for path in sorted(pathlib.Path("docs/guide").glob("*.md")):
        check_guide(path)
    check_python_header()
    check_unique([p for p in paths if p.parts[0] in ("lib", "src", "tests")])
    print("\n".join(problems) if problems else
          f"lint: {len(paths)} files, nothing to say")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
