/* SPDX-License-Identifier: MIT */
/* Tests imgrec.hpp with exceptions and, compiled again with -fno-exceptions and
 * linked into the same program, without. */
#include <cstdio>
#include <cstring>
#include <imgrec/imgrec.hpp>

static int failures;

static void expect(bool right, const char *what) {
  if (!right) {
    std::printf("%s: wrong (%s exceptions)\n", what,
                IMGREC_THROWS ? "with" : "without");
    failures++;
  }
}

static const char text[] = "input 4 4 1\nflatten\ndense 2\nsoftmax\n";

/* Images of one brightness, whose class is whether it is high. */
struct images {
  imgrec::tensor x, labels;
  explicit images(const imgrec::context &ctx, int count)
      : x(ctx, IMGREC_U8, {count, 4, 4, 1}), labels(ctx, IMGREC_I32, {count}) {
    for (int i = 0; i < count; i++) {
      std::memset(x.data<uint8_t>() + i * 16, i % 2 ? 200 + i % 50 : i % 50,
                  16);
      labels.data<int32_t>()[i] = i % 2;
    }
  }
};

static void test_owners() {
  imgrec::tensor outlives;
  {
    imgrec::context_options options;
    options.threads = 1;
    imgrec::context ctx(options);
    expect(ctx.threads() == 1, "options");
    imgrec::tensor t(ctx, IMGREC_F32, {2, 3});
    t.data<float>()[5] = 7;
    expect(t.data<int32_t>() == nullptr, "data of another type");
    outlives = std::move(t);
    expect(!t && outlives, "moved");
  }
  expect(outlives.shape() == std::vector<int64_t>({2, 3}), "shape");
  expect(outlives.data<float>()[5] == 7, "data");
  imgrec_tensor *plain = outlives.release();
  expect(!outlives && plain, "released");
  imgrec::tensor again(plain, nullptr);
  expect(again.get() == plain && again.nbytes() == 24, "taken");
}

static void test_images() {
  imgrec::context ctx;
  imgrec::tensor image(ctx, IMGREC_U8, {2, 4, 1});
  image.data<uint8_t>()[0] = 200;
  imgrec::tensor flipped = image.flip(1).convert(3);
  expect(flipped.shape() == std::vector<int64_t>({2, 4, 3}) &&
             flipped.data<uint8_t>()[3 * 3] == 200,
         "flip and convert");
  const uint8_t pnm[] = "P5 1 1 255 A";
  imgrec::tensor decoded = imgrec::decode_image(ctx, pnm, sizeof pnm - 1);
  expect(decoded.data<uint8_t>()[0] == 'A', "decode_image");
  float memory[3] = {1, 2, 3};
  imgrec::tensor over = imgrec::tensor::wrap(ctx, memory, {3});
  expect(over.data<float>() == memory, "wrap");
}

static void test_model() {
  imgrec::context ctx;
  images two(ctx, 2);
  imgrec::model m = imgrec::model::create(ctx, text);
  m.set_labels({"dark", "bright"});
  expect(m.label(1) == "bright" && m.classes() == 2, "labels");
  expect(m.input_shape()[0] == 4 && m.layers() == 4, "shape and layers");
  expect(std::strcmp(m.layer(2).type, "dense") == 0, "layer");
  expect(m.parameters() == 2 && m.parameter(m.parameter_name(0)), "parameters");
  expect(m.parameter_name(2).empty() && m.parameter_name(-1).empty(),
         "names of no parameter");
  expect(m.memory(1, true) > m.memory(1, false), "memory");
  m.save("wrapper.imgrec");
  imgrec::model same = imgrec::model::load(ctx, "wrapper.imgrec");
  expect(same.architecture() == m.architecture(), "load");
  imgrec::tensor x(ctx, IMGREC_F32, {3, 4, 4, 1}), y(ctx, IMGREC_F32, {3, 2});
  expect(m.forward(x, y) >= 0 && y.data<float>()[0] > 0, "forward");
  imgrec::context other;
  imgrec::model shared = m.share(other);
  imgrec::tensor image(ctx, IMGREC_U8, {4, 4, 1});
  std::vector<imgrec_result> all = m.classify(image);
  expect(shared.classify(image)[0].probability == all[0].probability, "share");
  expect(all.size() == 2 && all[0].probability >= all[1].probability,
         "classify");
}

static void test_fit() {
  imgrec::context ctx;
  images many(ctx, 64);
  imgrec::dataset data(ctx, many.x, many.labels, 2);
  auto parts = data.split(0.25f, 1);
  expect(parts.first.size() == 48 && parts.second.size() == 16, "split");
  imgrec::model m = imgrec::model::create(ctx, text);
  imgrec::trainer_options options;
  options.learning_rate = 0.1f;
  imgrec::trainer t(m, options);
  imgrec::fit_options how;
  how.epochs = 50;
  imgrec::fit_result result;
  int calls = 0;
  t.fit(
      parts.first, parts.second, how,
      [&](const imgrec_progress &p) {
        calls++;
        return p.epoch == 10 && p.epoch_done ? IMGREC_FIT_STOP
                                             : IMGREC_FIT_GO_ON;
      },
      &result);
  expect(result.epochs == 10 && result.cancelled && calls >= 20, "cancelled");
  imgrec::evaluation measured;
  m.evaluate(parts.second, measured);
  expect(measured.images == 16 && measured.top1 == 1, "evaluate");
  expect(t.fit(parts.first, imgrec::dataset()) >= 0, "fit without val");
}

#if IMGREC_THROWS

int without_exceptions();

template <class F> static void refused(int status, const char *word, F f) {
  try {
    f();
    expect(false, word);
  } catch (const imgrec::error &e) {
    expect(e.status() == status && std::strstr(e.what(), word), e.what());
  }
}

static void test_failures() {
  imgrec::context ctx;
  refused(IMGREC_ERR_NOT_FOUND, "no/such/file",
          [&] { imgrec::model::load(ctx, "no/such/file"); });
  refused(IMGREC_ERR_ARGUMENT, "dtype",
          [&] { imgrec::tensor t(ctx, 99, {1}); });
  refused(IMGREC_ERR_NOT_FOUND, "no such",
          [&] { imgrec::preset("none", 0, 0, 0, 0); });
  images few(ctx, 4);
  imgrec::dataset data(ctx, few.x, few.labels, 2);
  imgrec::model m = imgrec::model::create(ctx, text);
  imgrec::trainer t(m);
  int caught = 0;
  try {
    t.fit(data, imgrec::dataset(), imgrec::fit_options(),
          [](const imgrec_progress &) -> int { throw 42; });
  } catch (int thrown) {
    caught = thrown;
  }
  expect(caught == 42, "thrown by progress");
}

#else

static void test_failures() {
  imgrec::context ctx;
  imgrec::model m = imgrec::model::load(ctx, "no/such/file");
  expect(!m && m.status() == IMGREC_ERR_NOT_FOUND, "empty");
  expect(std::strstr(ctx.last_error(), "no/such/file"), "sentence");
  imgrec::tensor image(ctx, IMGREC_U8, {4, 4, 1});
  expect(m.classify(image).empty(), "classify of an empty model");
  expect(m.save("x") == IMGREC_ERR_ARGUMENT, "save of an empty model");
  expect(imgrec::trainer(m).status() == IMGREC_ERR_ARGUMENT, "trainer");
  expect(imgrec::preset("none", 0, 0, 0, 0).empty(), "preset");
}

#endif

static int run() {
  test_owners();
  test_images();
  test_model();
  test_fit();
  test_failures();
  return failures;
}

#if IMGREC_THROWS
int main() { return run() + without_exceptions() != 0; }
#else
int without_exceptions();
int without_exceptions() { return run(); }
#endif
