// SPDX-License-Identifier: MIT
// Under node, which has a fetch() that takes no file: reads the module itself.
if (typeof process === "object" && typeof require === "function" &&
    !Module["wasmBinary"])
  Module["wasmBinary"] = require("fs").readFileSync(
    require("path").join(__dirname, "imgrec.wasm"));
