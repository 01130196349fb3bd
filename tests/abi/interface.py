#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the public header declares, for the checks of the binary interface.

  interface.py functions INCLUDE    the names of all functions, sorted
  interface.py stubs INCLUDE        C source that defines each of them, empty
  interface.py layout INCLUDE       tests/abi/layout.h, by asking clang
and headers in which each struct that begins with struct_size is another:
  interface.py shorter INCLUDE OUT FIRST   without the last members, of those
                                           that FIRST, an old release, lacks
  interface.py longer INCLUDE OUT          with one member more
  interface.py released INCLUDE OUT DUMP   without all members that were
                                           appended since the release of DUMP
INCLUDE, OUT and FIRST are folders that have or get imgrec/imgrec.h, DUMP is
a file of abidw.
"""
import pathlib
import re
import subprocess
import sys
from xml.etree import ElementTree

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
FUNCTION = re.compile(r"^IMGREC_API\s+([^;{]*?)(imgrec_\w+)(\([^;{]*\));",
                      re.MULTILINE)
STRUCT = re.compile(r"^typedef struct (imgrec_\w+) \{\n(.*?)^\} \1;",
                    re.MULTILINE | re.DOTALL)

# 64 bits (long has 64 or 32); 32 bits, where 64-bit numbers are aligned to 4;
# 32 bits, where they are to 8.
TARGETS = ("x86_64-linux-gnu", "i386-linux-gnu", "arm-linux-gnueabihf")
LAYOUT = """\
/* SPDX-License-Identifier: MIT */
/* Where each member of each public struct lies, and the structs' sizes: on 64
 * bits, on 32 bits where 64-bit numbers are aligned to 4 bytes (i386), and
 * where they are to 8; and the enumerators.  Written by tests/abi/interface.py
 * layout include. */
"""


def functions(text):
    """(return type, name, parameters) of each."""
    return [(m[1].strip(), m[2], m[3]) for m in FUNCTION.finditer(text)]


def members(body):
    """(name, bytes on a 64-bit machine, where its text ends) of each."""
    found = []
    for m in re.finditer(r"([^;\s][^;]*);", body):
        each = 4 if re.match(r"(int32_t|float)\b(?!.*\*)", m[1]) else 8
        for part in re.finditer(r"(\w+)(?:\[(\d+)\])?(?=[,;]|\)?\()",
                                m[0]):
            found.append((part[1], each * int(part[2] or 1),
                          m.start() + part.end()))
    return found


def stubs(text):
    lines = ["#include <imgrec/imgrec.h>"]
    for returned, name, parameters in functions(text):
        body = "{}" if returned == "void" else "{ return 0; }"
        lines.append(f"{returned} {name}{parameters} {body}")
    return "\n".join(lines) + "\n"


def measured(names, source, target):
    """offsetof (struct, member) or sizeof (struct,) of each, asked clang: as
    the size of an array."""
    lines = ["#include <imgrec/imgrec.h>"]
    for i, name in enumerate(names):
        what = f"offsetof({', '.join(name)})" if name[1:] else (
            f"sizeof({name[0]})")
        lines.append(f"char m{i}[1 + {what}] = {{1}};")
    assembly = subprocess.run(
        ["clang", f"--target={target}", "-ffreestanding", "-I", source, "-S",
         "-o", "-", "-x", "c", "-"], input="\n".join(lines), text=True,
        capture_output=True, check=True).stdout
    sizes = dict(re.findall(r"\.size\s+m(\d+), (\d+)", assembly))
    return [int(sizes[str(i)]) - 1 for i in range(len(names))]


def layout(text, source):
    names = []
    for m in STRUCT.finditer(text):
        names += [(m[1], name) for name, _, _ in members(m[2])] + [(m[1],)]
    columns = [measured(names, source, t) for t in TARGETS]
    lines = []
    for name, *numbers in zip(names, *columns):
        numbers = ", ".join(map(str, numbers))
        lines.append(f"MEMBER({name[0]}, {name[1]}, {numbers})" if name[1:]
                     else f"SIZE({name[0]}, {numbers})")
    lines += [f"VALUE({name}, {number})"
              for name, number in re.findall(r"(IMGREC_\w+) = (-?\d+)", text)]
    return LAYOUT + "\n".join(lines) + "\n"


def shorter(body, old):
    """Without the last 8 bytes, or as many more as leave no padding."""
    kept, cut = members(body), 0
    while len(kept) > max(1, len(old)) and (cut == 0 or cut % 8 != 0):
        cut += kept.pop()[1]
    return body[:kept[-1][2]] + ";\n"


def longer(body, _):
    return body + "  uint64_t later; /* of a release to come */\n"


def released(body, old):
    kept = members(body)[:len(old)] if old else members(body)
    return body[:kept[-1][2]] + ";\n"


def changed(text, change, old):
    """`change` is told each growing struct's body, and the old members."""
    def replace(m):
        if not m[2].lstrip().startswith("size_t struct_size;"):
            return m[0]
        return m[0].replace(m[2], change(m[2], old.get(m[1], [])))
    return STRUCT.sub(replace, text)


def declared_members(text):
    return {m[1]: members(m[2]) for m in STRUCT.finditer(text)}


def dumped_members(path):
    return {c.get("name"): c.findall("data-member")
            for c in ElementTree.parse(path).iter("class-decl")}


def read(folder):
    """The header without comments."""
    text = (pathlib.Path(folder) / "imgrec/imgrec.h").read_text("utf-8")
    return COMMENT.sub(" ", text)


def write(folder, source, text):
    target = pathlib.Path(folder) / "imgrec"
    version = pathlib.Path(source) / "imgrec/version.h"
    target.mkdir(parents=True, exist_ok=True)
    (target / "imgrec.h").write_text(text, "utf-8")
    (target / "version.h").write_bytes(version.read_bytes())


def main():
    what, source, *others = sys.argv[1:]
    text = read(source)
    if what == "functions":
        print("\n".join(sorted(name for _, name, _ in functions(text))))
    elif what == "stubs":
        sys.stdout.write(stubs(text))
    elif what == "layout":
        sys.stdout.write(layout(text, source))
    elif what == "shorter":
        old = declared_members(read(others[1]))
        write(others[0], source, changed(text, shorter, old))
    elif what == "longer":
        write(others[0], source, changed(text, longer, {}))
    elif what == "released":
        old = dumped_members(others[1])
        write(others[0], source, changed(text, released, old))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
