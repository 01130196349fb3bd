/* SPDX-License-Identifier: MIT */
/* Recognises nothing in particular, with the library of a Conan package. */
#include <cstdio>
#include <imgrec/imgrec.hpp>

int main() {
  imgrec::context ctx;
  imgrec::model model =
      imgrec::model::create(ctx, imgrec::preset("tiny", 0, 0, 0, 10));
  imgrec::tensor image(ctx, IMGREC_U8, {20, 30, 3});
  std::printf("%s %s\n", imgrec_version_string(),
              model.classify(image, 1).at(0).label);
  return 0;
}
