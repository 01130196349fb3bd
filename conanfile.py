# SPDX-License-Identifier: MIT
"""For Conan 2:  conan create . --test-folder tests/conan  (make check-conan)

What it is built with (make, the headers of stb and jsmn, zlib) is the system's.
"""
import os
import re

from conan import ConanFile
from conan.tools.files import copy, load


class Imgrec(ConanFile):
    name = "imgrec"
    description = "Train and run convolutional image recognisers on the CPU"
    license = "MIT"
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": False}
    languages = "C"
    exports_sources = ("Makefile", "LICENSE", "imgrec.pc.in", "docs/imgrec.1",
                       "include/*", "lib/*", "mk/*", "scripts/*", "src/*")

    def set_version(self):
        text = load(self, os.path.join(self.recipe_folder,
                                       "include/imgrec/version.h"))
        self.version = ".".join(re.findall(r"VERSION_\w+ (\d+)", text))

    def _make(self, target):
        debug = self.settings.build_type == "Debug"
        self.run("make -s -j%d %s PREFIX=/ DESTDIR='%s' CFLAGS='%s'" % (
            os.cpu_count() or 1, target, self.package_folder or "",
            "-O1 -g" if debug else "-O2"))

    def build(self):
        self._make("all")

    def package(self):
        self._make("install")
        copy(self, "LICENSE", self.source_folder,
             os.path.join(self.package_folder, "licenses"))
        # One of the two, as was asked for.
        unwanted = r"\.a$" if self.options.shared else r"\.so"
        folder = os.path.join(self.package_folder, "lib")
        for name in os.listdir(folder):
            if re.search(unwanted, name):
                os.remove(os.path.join(folder, name))

    def package_info(self):
        self.cpp_info.libs = ["imgrec"]
        self.cpp_info.set_property("cmake_target_name", "imgrec::imgrec")
        if not self.options.shared:
            self.cpp_info.system_libs = ["m", "pthread", "z"]
