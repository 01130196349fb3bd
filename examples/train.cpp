/* SPDX-License-Identifier: MIT */
/* Trains a small network on a data set, says how it goes, and ends early when
 * it is good enough: train DATA MODEL */
#include <cstdio>
#include <imgrec/imgrec.hpp>

static void train(const char *data, const char *path) {
  imgrec::context ctx;
  imgrec::dataset all(ctx, data);
  std::printf("%s\n", all.description().c_str());
  auto parts = all.split(0.2f, 1);

  imgrec::model model = imgrec::model::create(
      ctx, imgrec::preset("small", 32, 32, 3, all.classes()));
  imgrec::trainer_options options;
  options.optimizer = IMGREC_OPTIMIZER_ADAMW;
  options.weight_decay = 0.01f;
  imgrec::trainer trainer(model, options);

  imgrec::fit_options how;
  how.epochs = 20;
  how.schedule = IMGREC_SCHEDULE_COSINE;
  imgrec::fit_result result;
  auto progress = [](const imgrec_progress &p) -> int {
    if (!p.epoch_done)
      return IMGREC_FIT_GO_ON;
    std::printf("epoch %d: loss %.3f, accuracy %.3f\n", p.epoch,
                double(p.train_loss), double(p.val_accuracy));
    return p.val_accuracy > 0.95f ? IMGREC_FIT_STOP : IMGREC_FIT_GO_ON;
  };
  trainer.fit(parts.first, parts.second, how, progress, &result);
  std::printf("kept epoch %d\n", result.best_epoch);
  model.save(path);
}

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  try {
    train(argv[1], argv[2]);
  } catch (const imgrec::error &e) {
    std::fprintf(stderr, "train: %s\n", e.what());
    return 1;
  }
  return 0;
}
