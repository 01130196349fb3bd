/* SPDX-License-Identifier: MIT */
/* Says what is in an image, with owners that clean up: recognise MODEL IMAGE */
#include <cstdio>
#include <imgrec/imgrec.h>
#include <memory>
#include <stdexcept>

template <auto destroy> struct Destroy {
  template <class T> void operator()(T *object) const { destroy(object); }
};
using Context =
    std::unique_ptr<imgrec_context, Destroy<imgrec_context_destroy>>;
using Model = std::unique_ptr<imgrec_model, Destroy<imgrec_model_destroy>>;
using Tensor = std::unique_ptr<imgrec_tensor, Destroy<imgrec_tensor_destroy>>;

static int check(int status, const Context &ctx) {
  if (status < 0)
    throw std::runtime_error(imgrec_last_error(ctx.get()));
  return status;
}

static void recognise(const Context &ctx, const char *path, const char *file) {
  imgrec_model *m;
  check(imgrec_model_load(&m, ctx.get(), path, nullptr), ctx);
  Model model(m);
  imgrec_tensor *t;
  check(imgrec_image_load(&t, ctx.get(), file, 0), ctx);
  Tensor image(t);
  imgrec_result top[3];
  int n = check(imgrec_model_classify(model.get(), image.get(), 3, top), ctx);
  for (int i = 0; i < n; i++)
    std::printf("%s %.3f\n", top[i].label, double(top[i].probability));
}

int main(int argc, char **argv) {
  imgrec_context *c;
  if (argc != 3 || imgrec_context_create(&c, nullptr) < 0)
    return 2;
  Context ctx(c);
  try {
    recognise(ctx, argv[1], argv[2]);
  } catch (const std::exception &e) {
    std::fprintf(stderr, "recognise: %s\n", e.what());
    return 1;
  }
  return 0;
}
