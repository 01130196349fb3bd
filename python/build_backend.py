#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Packs the Python package with the library: for pip, as pyproject.toml says,
and for make wheel:  build_backend.py FOLDER

It needs make and a C compiler, and of Python nothing but itself.  The same
sources give the same bytes; files are of the time that SOURCE_DATE_EPOCH says.
"""
import base64
import gzip
import hashlib
import io
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
# 1980, where zip begins, unless told.
EPOCH = max(int(os.environ.get("SOURCE_DATE_EPOCH", 0)), 315532800)


def version():
    text = (ROOT / "include/imgrec/version.h").read_text()
    return ".".join(re.findall(r"VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", text))


def metadata():
    """METADATA of a wheel, PKG-INFO of a source package."""
    said = dict(re.findall(r'^([a-z-]+) = "(.*)"$',
                           (ROOT / "pyproject.toml").read_text(), re.M))
    head = [
        "Metadata-Version: 2.1", "Name: imgrec", "Version: " + version(),
        "Summary: " + said["description"], "License: MIT",
        "Requires-Python: " + said["requires-python"],
        "Classifier: License :: OSI Approved :: MIT License",
        "Classifier: Operating System :: POSIX :: Linux",
        "Classifier: Typing :: Typed",
        "Description-Content-Type: text/markdown",
    ]
    readme = (ROOT / said["readme"]).read_text(encoding="utf-8")
    return ("\n".join(head) + "\n\n" + readme).encode()


def library():
    """The bytes of the shared library, made if need be, without symbols that
    only a debugger wants."""
    build = os.environ.get("BUILD", "build")
    path = ROOT / build / ("libimgrec.so." + version())
    subprocess.run(["make", "-s", "-j%d" % (os.cpu_count() or 1),
                    "BUILD=" + build, str(path.relative_to(ROOT))],
                   cwd=ROOT, check=True, stdout=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "library"
        shutil.copy(path, copy)
        subprocess.run(["strip", "--strip-unneeded", copy], check=True)
        return copy.read_bytes()


def tag(binary):
    """For any Python 3, and a C library no older than the symbols ask for."""
    minor = max([17] + [int(n) for n in re.findall(rb"GLIBC_2\.(\d+)", binary)])
    return "py3-none-manylinux_2_%d_%s" % (minor, platform.machine())


def write_wheel(path, files):
    records = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        def put(name, data, mode=0o644):
            info = zipfile.ZipInfo(name, time.gmtime(EPOCH)[:6])
            info.external_attr = (0o100000 | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(info, data)
        for name, data in sorted(files.items()):
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
            records.append("%s,sha256=%s,%d" % (
                name, digest.decode().rstrip("="), len(data)))
            put(name, data, 0o755 if ".so." in name else 0o644)
        record = next(n for n in files if n.endswith("/WHEEL"))[:-5] + "RECORD"
        put(record, "\n".join(records + [record + ",,", ""]))


def build_wheel(folder, config_settings=None, metadata_directory=None):
    binary = library()
    info = "imgrec-%s.dist-info/" % version()
    files = {"imgrec/" + path.name: path.read_bytes()
             for path in (ROOT / "python/imgrec").glob("*.py*")
             if path.is_file()}
    files["imgrec/libimgrec.so." + version().split(".")[0]] = binary
    files[info + "METADATA"] = metadata()
    files[info + "LICENSE"] = (ROOT / "LICENSE").read_bytes()
    files[info + "WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: imgrec %s\nRoot-Is-Purelib: false\n"
        "Tag: %s\n" % (version(), tag(binary))).encode()
    name = "imgrec-%s-%s.whl" % (version(), tag(binary))
    write_wheel(pathlib.Path(folder) / name, files)
    return name


def sources():
    """What git has; or, unpacked from a package, all that nothing made."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, text=True,
                            capture_output=True)
    if listed.returncode == 0 and (ROOT / ".git").exists():
        return sorted(name for name in listed.stdout.splitlines()
                      if (ROOT / name).exists())
    made = {"build", "dist", "__pycache__", "PKG-INFO"}
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*")
                  if path.is_file()
                  and not made & set(path.relative_to(ROOT).parts))


def build_sdist(folder, config_settings=None):
    top = "imgrec-" + version()
    name = top + ".tar.gz"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w",
                      format=tarfile.PAX_FORMAT) as tar:
        def put(name, data, mode):
            info = tarfile.TarInfo("%s/%s" % (top, name))
            info.size, info.mtime, info.mode = len(data), EPOCH, mode
            tar.addfile(info, io.BytesIO(data))
        put("PKG-INFO", metadata(), 0o644)
        for source in sources():
            path = ROOT / source
            put(source, path.read_bytes(),
                0o755 if os.access(path, os.X_OK) else 0o644)
    with open(pathlib.Path(folder) / name, "wb") as file:
        with gzip.GzipFile("", "wb", 9, file, EPOCH) as zipped:
            zipped.write(packed.getvalue())
    return name


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    for make in (build_wheel, build_sdist):
        print(os.path.join(sys.argv[1], make(sys.argv[1])))
