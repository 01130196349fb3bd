#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The library as two files, imgrec.c and imgrec.h:

  amalgamate.py FOLDER [PREFIX]

What is compiled, and how, is asked of the Makefile for each machine that has
kernels of its own.  A file's own names get its name behind them, so that files
can share one translation unit; internal names become static; what a file is
compiled with becomes pragmas.  PREFIX is put before the names of all public
functions.  See docs/embedding.md."""
import os
import pathlib
import re
import shlex
import subprocess
import sys

import c_names

# Machines the Makefile knows, and what their compilers define.
MACHINES = {"x86_64": "defined(__x86_64__)", "i386": "defined(__i386__)",
            "aarch64": "defined(__AARCH64EL__)", "other": ""}
# Functions of machines, whose headers are included before all pragmas.
MACHINE_HEADERS = {"immintrin.h": "defined(__x86_64__) || defined(__i386__)",
                   "arm_neon.h": "defined(__AARCH64EL__)"}
INTRINSICS = re.compile(r"[a-z]mmintrin\.h|immintrin\.h|arm_neon\.h")
# Flags of single files that results depend on, and what gcc calls them in a
# pragma; Clang has no such pragma.
OPTIMIZE = {"-fwrapv": "wrapv"}
GCC_ONLY = re.compile(r"prefer-vector-width|fpmath")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^">]+)[">].*$', re.M)
LIB = pathlib.Path("lib")

TOP = """\
/* libimgrec {version} in one file: compile it, or include it in one of yours;
 * beside it belong imgrec.h and stb_image.h (or <stb/stb_image.h>).
 * -DIMGREC_HAVE_ZLIB, and -lz, for data sets packed by gzip.
 *
 * Written by scripts/amalgamate.py from the sources of libimgrec, in which to
 * make changes.
 *
{licence}
 *
 * SPDX-License-Identifier: MIT */
#if defined(__cplusplus) || !defined(__GNUC__)
#error "imgrec.c is C, for GCC or Clang"
#endif

{feature_macros}
/* On Windows: formats as C has them; and no tables for unwinding, with which GCC
 * does not align the stack as vectors of AVX need it (its bug 54412). */
#if defined(_WIN32) && !defined(__USE_MINGW_ANSI_STDIO)
#define __USE_MINGW_ANSI_STDIO 1
#endif
#if defined(_WIN32) && !defined(__clang__)
#pragma GCC optimize("no-unwind-tables,no-asynchronous-unwind-tables")
#endif

/* Results are the same bits everywhere: no fused or reordered arithmetic, and
 * stb_image's products of int wrap (Clang: by -fwrapv). */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wpsabi"
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wundefined-internal"
#pragma clang diagnostic ignored "-Wunused-const-variable"
#endif

#include "imgrec.h"

{headers}"""
BOTTOM = """
#pragma GCC diagnostic pop
#if !defined(__clang__)
#pragma GCC pop_options
#endif
"""
STB = """\
#if defined(IMGREC_STB_IMAGE)
#include IMGREC_STB_IMAGE
#elif __has_include("stb_image.h")
#include "stb_image.h"
#else
#include <stb/stb_image.h>
#endif"""


class Unit:
    """What becomes one object of the library."""

    def __init__(self, name, source):
        self.name, self.source = name, pathlib.Path(source)
        self.defines = []
        self.flags = {}  # by machine: those that other objects lack


# ---- What the Makefile does ----------------------------------------------------


def commands(machine):
    listed = subprocess.run(
        [os.environ.get("MAKE", "make"), "--no-print-directory", "-nB",
         f"MACHINE={machine}", "WITH_ZLIB=0", "BUILD=build", "library-objects"],
        stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in listed.replace("\\\n", " ").split("\n"):
        words = shlex.split(line)
        if "-c" in words and "-o" in words:
            yield words


def add_machine(units, machine):
    """Its flags to all units; gives the macros that all units have."""
    flags, defines = {}, {}
    for words in commands(machine):
        name = pathlib.Path(words[words.index("-o") + 1]).stem
        units.setdefault(name, Unit(name, words[-1]))
        defines[name] = [w[2:] for w in words if w.startswith("-D")]
        flags[name] = [w for w in words
                       if w.startswith("-m") or w in OPTIMIZE]
    shared = set.intersection(*map(set, defines.values()))
    common = set.intersection(*map(set, flags.values()))
    for name, given in flags.items():
        units[name].flags[machine] = [f for f in given if f not in common]
        units[name].defines = [d for d in defines[name] if d not in shared]
    return shared


# ---- Includes ------------------------------------------------------------------


def project_file(name, includer):
    for folder in (includer.parent, LIB):
        if (folder / name).exists():
            return pathlib.Path(os.path.relpath((folder / name).resolve()))
    return None


def includes(path):
    """Files of lib/ that a file includes."""
    for name in INCLUDE.findall(path.read_text("utf-8")):
        file = project_file(name, path)
        if file is not None:
            yield file


def closure(path, found):
    """Headers below a file, each behind those that it needs."""
    for file in includes(path):
        if file not in found:
            closure(file, found)
            if file not in found:
                found.append(file)
    return found


def inlined(path, shared, seen):
    """A file's text; files that are its own in place of their includes."""
    def replace(match):
        name = match[1]
        file = project_file(name, path)
        if name.startswith("imgrec/") or file in shared or file in seen:
            return ""
        if file is not None:
            seen.add(file)
            return inlined(file, shared, seen)
        return match[0]
    return INCLUDE.sub(replace, path.read_text("utf-8"))


def outside(text):
    """What is left of a unit's includes, but for stb and jsmn, which it has."""
    def replace(match):
        if match[1].endswith("stb_image.h"):
            return STB
        if match[1] == "jsmn.h":
            return system_file(match[0], "jsmn.h")
        if INTRINSICS.fullmatch(match[1]):
            return ""
        return match[0]
    return INCLUDE.sub(replace, text)


def system_file(include, name):
    listed = subprocess.run(
        [*shlex.split(os.environ.get("CC", "cc")), "-M", "-x", "c", "-"],
        input=include + "\n", stdout=subprocess.PIPE, text=True,
        check=True).stdout
    return pathlib.Path(re.search(rf"\S*/{name}", listed)[0]).read_text("utf-8")


# ---- Names ---------------------------------------------------------------------


def internal(tokens):
    """All that files share, and the interface does not have, is static."""
    out = list(tokens)
    for item in c_names.items(tokens):
        words = [tokens[i][1] for i in item]
        names = c_names.declarators(words)
        if not names or words[0] in ("typedef", "_Static_assert") or (
                "static" in words or "INLINE" in words
                or re.match(r"imgrec_[a-z]", names[0])):
            continue
        kind, word = out[item[0]]
        out[item[0]] = (kind, "static" if word == "extern"
                        else "static " + word)
    return out


def joined(tokens):
    return "".join(text for _, text in tokens)


def body(unit, shared, shared_tags):
    """The unit's text with names of its own, and its macros undone."""
    text = inlined(unit.source, shared, set())
    tokens = c_names.tokens_of(text)
    macros = c_names.macros(tokens)
    names, tags = c_names.declared(tokens)
    own = {n: k for n, k in names.items()
           if n not in macros and not n.startswith("imgrec_")}
    for header in closure(unit.source, []):
        tags = tags - shared_tags.get(header, set())
    own_tags = {t for t in tags if not t.startswith("imgrec_")}
    tokens = c_names.renamed(tokens, own, own_tags, "__" + unit.name)
    undone = "".join(f"#undef {m}\n" for m in macros if m[0] != "_")
    return outside(joined(internal(tokens))) + "\n" + undone


# ---- Pragmas -------------------------------------------------------------------


def guard(machines):
    """The condition for these machines, "" where it is all of them."""
    if set(machines) == set(MACHINES):
        return ""
    return " || ".join(MACHINES[m] for m in machines)


def options(flags):
    """(to be put before, to be put behind) what is compiled with these."""
    targets = [f[2:] for f in flags if f.startswith("-m")]
    clang = ",".join(t for t in targets if not GCC_ONLY.search(t))
    before, behind = "", ""
    if clang:
        before = (f'#if defined(__clang__)\n#pragma clang attribute push'
                  f'(__attribute__((target("{clang}"))), apply_to = function)\n'
                  "#endif\n")
        behind = ("#if defined(__clang__)\n#pragma clang attribute pop\n"
                  "#endif\n")
    gcc = "#pragma GCC push_options\n"
    if targets:
        gcc += f'#pragma GCC target("{",".join(targets)}")\n'
    for flag in flags:
        if flag in OPTIMIZE:
            gcc += f'#pragma GCC optimize("{OPTIMIZE[flag]}")\n'
    return (before + "#if !defined(__clang__)\n" + gcc + "#endif\n",
            behind + "#if !defined(__clang__)\n#pragma GCC pop_options\n"
            "#endif\n")


def region(unit, text):
    """A unit's text within what it is compiled with, on each machine."""
    before, behind = "", ""
    for flags in {tuple(f): None for f in unit.flags.values() if f}:
        machines = [m for m, f in unit.flags.items() if tuple(f) == flags]
        push, pop = options(flags)
        if guard(machines):
            push = f"#if {guard(machines)}\n{push}#endif\n"
            pop = f"#if {guard(machines)}\n{pop}#endif\n"
        before, behind = before + push, pop + behind
    for define in unit.defines:
        name, _, value = define.partition("=")
        before += f"#define {name} {value or 1}\n"
        behind = f"#undef {name}\n" + behind
    text = before + text + behind
    condition = guard(unit.flags)
    return f"#if {condition}\n{text}#endif\n" if condition else text


# ---- Files ---------------------------------------------------------------------


def title(path):
    return f"\n/* ==== {path} {'=' * max(4, 68 - len(str(path)))} */\n\n"


def standard_headers(units):
    """Those that several-times-compiled files need, before any pragma."""
    found = []
    for unit in units:
        if not any(unit.flags.values()):
            continue
        for path in closure(unit.source, []) + [unit.source]:
            found += [n for n in INCLUDE.findall(path.read_text("utf-8"))
                      if project_file(n, path) is None and "/" not in n
                      and not INTRINSICS.fullmatch(n) and n != "jsmn.h"]
    lines = [f"#include <{name}>\n" for name in sorted(set(found))]
    for name, condition in MACHINE_HEADERS.items():
        lines.append(f"#if {condition}\n#include <{name}>\n#endif\n")
    return "".join(lines)


def feature_macros(shared, units):
    """As the Makefile gives them, and those that files define first of all."""
    lines = ""
    for define in sorted(shared):
        name, _, value = define.partition("=")
        lines += f"#ifndef {name}\n#define {name} {value or 1}\n#endif\n"
    for unit in units:
        if "#define _GNU_SOURCE" in unit.source.read_text("utf-8"):
            lines += ("#if defined(__linux__) && !defined(_GNU_SOURCE)\n"
                      "#define _GNU_SOURCE\n#endif\n")
            break
    return lines


def interface(prefix):
    folder = pathlib.Path("include/imgrec")
    version = (folder / "version.h").read_text("utf-8")
    text = (folder / "imgrec.h").read_text("utf-8")
    names = re.findall(r"\b(imgrec_\w+);", (LIB / "imgrec.map").read_text())
    if prefix:
        version += "".join(f"\n#define {n} {prefix}{n}" for n in names) + "\n"
    return text.replace('#include "version.h"\n', version)


def version_of(text):
    return ".".join(re.search(rf"VERSION_{part} (\d+)", text)[1]
                    for part in ("MAJOR", "MINOR", "PATCH"))


def source(units, shared_macros):
    several = {u.source for u in units
               if sum(v.source == u.source for v in units) > 1}
    shared = []
    for unit in units:
        if unit.source not in several:
            closure(unit.source, shared)
    headers = [c_names.tokens_of(outside(inlined(p, shared, set())))
               for p in shared]
    tags = {p: c_names.mentioned_tags(h) for p, h in zip(shared, headers)}
    licence = pathlib.Path("LICENSE").read_text("utf-8").strip().split("\n")
    text = TOP.format(
        version=version_of(interface("")),
        licence="\n".join((" * " + line).rstrip() for line in licence),
        feature_macros=feature_macros(shared_macros, units),
        headers=standard_headers(units))
    for path, tokens in zip(shared, headers):
        text += title(path) + joined(internal(tokens))
    # windows.h defines common words as macros
    late = [u for u in units if "windows.h" in u.source.read_text("utf-8")]
    for unit in [u for u in units if u not in late] + late:
        text += title(unit.source) + region(unit, body(unit, shared, tags))
    return text + BOTTOM


def main():
    folder, prefix = pathlib.Path(sys.argv[1]), "".join(sys.argv[2:])
    if prefix and not c_names.is_name(prefix):
        sys.exit(f"amalgamate.py: '{prefix}' cannot begin a name in C")
    units, shared_macros = {}, []
    for machine in MACHINES:
        shared_macros.append(add_machine(units, machine))
    text = source(list(units.values()), set.intersection(*shared_macros))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "imgrec.h").write_text(interface(prefix), "utf-8")
    (folder / "imgrec.c").write_text(re.sub(r"\n{4,}", "\n\n\n", text), "utf-8")


if __name__ == "__main__":
    main()
