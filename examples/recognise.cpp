/* SPDX-License-Identifier: MIT */
/* Says what is in an image, in C++: recognise MODEL IMAGE */
#include <cstdio>
#include <imgrec/imgrec.hpp>

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  try {
    imgrec::context ctx;
    imgrec::model model = imgrec::model::load(ctx, argv[1]);
    imgrec::tensor image = imgrec::load_image(ctx, argv[2]);
    for (const imgrec_result &r : model.classify(image, 3))
      std::printf("%s %.3f\n", r.label, double(r.probability));
  } catch (const imgrec::error &e) {
    std::fprintf(stderr, "recognise: %s\n", e.what());
    return 1;
  }
  return 0;
}
