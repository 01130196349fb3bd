#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes python/imgrec/_header.py, the Python package's declarations, from the
public header:  python_header.py INCLUDE > python/imgrec/_header.py
"""
import pathlib
import re
import sys
import textwrap

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests/abi"))
import interface  # noqa: E402

NUMBERS = {"int": "c_int", "int32_t": "c_int32", "int64_t": "c_int64",
           "uint64_t": "c_uint64", "size_t": "c_size_t", "float": "c_float",
           "double": "c_double"}
# Groups of enumerators that no common prefix names, or not well.
GROUPS = {"OK": "Status", "F32": "DType", "DUPLICATE": "DuplicateKind"}
# Structs that are filled by keywords, and those that are made into tuples.
KEYWORDS = re.compile(r"imgrec_(\w+_options|augment|preprocess|calibration)$")
LISTS = {"confusion": "List[List[int]]", "scores": "List[ClassScore]",
         "bins": "List[Reliability]"}
HEAD = '''\
# SPDX-License-Identifier: MIT
"""What imgrec.h declares, for ctypes and for type checkers.

Written by scripts/python_header.py; make python-header writes it anew.
"""
from __future__ import annotations

from ctypes import (CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_float,
                    c_int, c_int32, c_int64, c_size_t, c_uint64, c_void_p)
from enum import IntEnum
from os import PathLike
from typing import Dict, List, NamedTuple, Tuple, TypedDict, Union
'''


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def group(name):
    return GROUPS.get(name) or camel(name)


def enumerations(text):
    """{class: {member: value}}"""
    found = {}
    for block in re.findall(r"^enum \{(.*?)\};", text, re.M | re.S):
        members = re.findall(r"IMGREC_(\w+) = (-?\d+)", block)
        first = members[0][0]
        prefix = "" if first in GROUPS else first.split("_")[0] + "_"
        found[group(prefix[:-1] or first)] = {
            re.sub("^ERR_", "", name[len(prefix):]): value
            for name, value in members}
    return found


def structs(text):
    """{name: [(C type, member, array length or "")]}"""
    found = {}
    for m in interface.STRUCT.finditer(text):
        found[m[1]] = members = []
        for each in re.finditer(r"\s*((?:const )?\w+(?: const)?)\s+([^;]*);",
                                m[2]):
            for part in each[2].split(","):
                star, name, length = re.fullmatch(
                    r"\s*(\*?)\s*(\w+)(?:\[(\d+)\])?\s*", part).groups()
                members.append((f"{each[1]} {star}".strip(), name, length))
    return found


def enumerated(raw):
    """{(struct, member): class}, of members whose comment says IMGREC_X_*."""
    return {(m[1], name): group(prefix)
            for m in interface.STRUCT.finditer(raw)
            for name, prefix in re.findall(
                r"int32_t (\w+); *\n? */\* IMGREC_([A-Z0-9]+)_\*", m[2])}


def ctype(declared, known):
    """The ctypes expression for a C type without the name it is given to."""
    bare = declared.replace("const", "").replace(" ", "")
    if bare in NUMBERS:
        return NUMBERS[bare]
    if bare == "char*":
        return "c_char_p"
    base = bare.rstrip("*")
    if not bare.endswith("*"):
        return "None" if bare == "void" else base
    if base in NUMBERS:
        return f"POINTER({NUMBERS[base]})"
    if base in known:
        return f"POINTER({base})"
    return "POINTER(c_void_p)" if bare.endswith("**") else "c_void_p"


def parameters(listed, known):
    kinds = []
    for part in " ".join(listed.split()).strip("()").split(", "):
        if part == "void":
            continue
        m = re.fullmatch(r"(.*?)(\w+)(\[\d+\])?", part)
        kinds.append(ctype(m[1] + ("*" if m[3] else ""), known))
    return kinds


def wrapped(head, words, tail):
    lines = textwrap.wrap(", ".join(words) + tail, 70)
    if len(head) + len(lines[0]) < 80 and len(lines) == 1:
        print(head + lines[0])
    else:
        print("\n        ".join([head, *lines]))


def put_callbacks(text, known):
    for m in re.finditer(r"^typedef (\w+ \*?)\(\*(imgrec_\w+)\)(\([^;]*\));",
                         text, re.M):
        wrapped(f"{m[2]} = CFUNCTYPE(", [ctype(m[1], known),
                                         *parameters(m[3], known)], ")")


def put_struct(name, members, known):
    print(f"\n\nclass {name}(Structure):\n    _fields_ = [")
    for declared, member, length in members:
        times = f" * {length}" if length else ""
        print(f"        (\"{member}\", {ctype(declared, known)}{times}),")
    print("    ]")


def hint(struct, member, enums):
    declared, name, length = member
    if (struct, name) in enums:
        kind = enums[struct, name]
        return f"Union[{kind}, str, int]" if KEYWORDS.match(struct) else kind
    if name == "augment":
        return "str"
    if declared == "const char *":
        return "Union[str, PathLike[str]]" if KEYWORDS.match(struct) else "str"
    if declared.endswith("*") or declared.startswith("imgrec_"):
        return LISTS.get(name)
    kind = "float" if declared in ("float", "double") else "int"
    return f"Tuple[{', '.join([kind] * int(length))}]" if length else kind


def put_hints(name, members, enums):
    """Keywords or a tuple; callbacks are parameters of their own."""
    if name == "imgrec_result":
        return
    keywords = KEYWORDS.match(name)
    shown = [(m[1], hint(name, m, enums)) for m in members
             if m[1] not in ("struct_size", "reserved")]
    print(f"\n\nclass {camel(name[7:])}" + (
        "(TypedDict, total=False):" if keywords else "(NamedTuple):"))
    for member, kind in shown:
        if kind:
            print(f"    {member}: {kind}")


def main():
    raw = (pathlib.Path(sys.argv[1]) / "imgrec/imgrec.h").read_text("utf-8")
    text = interface.COMMENT.sub(" ", raw)
    known, enums = structs(text), enumerated(raw)
    sys.stdout.write(HEAD)
    for name, members in enumerations(text).items():
        print(f"\n\nclass {name}(IntEnum):")
        for member, value in members.items():
            print(f"    {member} = {value}")
    # A callback may be told of a struct, and a struct may have a callback.
    put_struct("imgrec_progress", known["imgrec_progress"], known)
    print("\n")
    put_callbacks(text, known)
    for name in known:
        if name != "imgrec_progress":
            put_struct(name, known[name], known)
    for name, members in known.items():
        put_hints(name, members, enums)
    print("\n\n# The enumeration that a member of a struct is of.")
    print("ENUMERATED: Dict[Tuple[str, str], type[IntEnum]] = {")
    for (struct, member), name in enums.items():
        print(f"    (\"{struct}\", \"{member}\"): {name},")
    print("}\n\n# The result and the parameters of each.\nFUNCTIONS = {")
    for returned, name, listed in interface.functions(text):
        print(f"    \"{name}\":")
        wrapped(f"    ({ctype(returned, known)}, [",
                parameters(listed, known), "]),")
    print("}")


if __name__ == "__main__":
    main()
