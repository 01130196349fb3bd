/* SPDX-License-Identifier: MIT */
/*
 * imgrec.hpp - imgrec.h for C++11 and later: owners that clean up
 *
 * Nothing but inline functions over imgrec.h, which says what each does.
 *
 *  - Objects are moved, not copied, and may be empty, as a std::unique_ptr.
 *    What is asked of an empty one must be able to fail.
 *  - A failure throws imgrec::error with the library's sentence.  Without
 *    exceptions (-fno-exceptions, or IMGREC_NO_EXCEPTIONS defined) the same
 *    functions give a negative IMGREC_ERR_ code, or an empty object whose
 *    status() is one; context::last_error() has the sentence.
 *  - get() is the C handle, for all that is not here: a new C object becomes
 *    an owner by imgrec::tensor(handle, ctx.get()).
 *  - Option structs are those of C, already filled:
 *    imgrec::trainer_options options; options.learning_rate = 0.01f;
 *  - What a callable given to fit throws ends training, and is thrown by fit.
 *
 * Files with and without exceptions can be linked into one program, and so can
 * those that use copies of the library under several prefixes.
 */
#ifndef IMGREC_IMGREC_HPP
#define IMGREC_IMGREC_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "imgrec.h"

#if (defined(__cpp_exceptions) || defined(__EXCEPTIONS)) &&                    \
    !defined(IMGREC_NO_EXCEPTIONS)
#define IMGREC_THROWS 1
#include <exception>
#include <stdexcept>
#else
#define IMGREC_THROWS 0
#endif

namespace imgrec {

/* The linker tells apart what throws and what does not, and copies of the
 * library under a prefix, for which imgrec_version_number is a macro. */
#define IMGREC_NAMED_(how, function) how##_by_##function
#define IMGREC_NAMED(how, function)  IMGREC_NAMED_(how, function)
#if IMGREC_THROWS
inline namespace IMGREC_NAMED(throwing, imgrec_version_number) {
#else
inline namespace IMGREC_NAMED(not_throwing, imgrec_version_number) {
#endif
#undef IMGREC_NAMED
#undef IMGREC_NAMED_

#if IMGREC_THROWS
  /* What failed: the sentence, and the IMGREC_ERR_ code. */
  class error : public std::runtime_error {
  public:
    error(int status, const char *sentence)
        : std::runtime_error(sentence), status_(status) {}
    int status() const noexcept { return status_; }

  private:
    int status_;
  };
#endif

  namespace detail {

  /* Throws for a negative status, where that is wanted; else gives it back. */
  inline int check(int status, const imgrec_context *ctx) {
#if IMGREC_THROWS
    if (status < 0) {
      const char *sentence = imgrec_last_error(ctx);
      throw error(status, *sentence ? sentence : imgrec_status_string(status));
    }
#else
    (void)ctx;
#endif
    return status;
  }

  template <class T, void (*destroy)(T *)> class owner {
  public:
    typedef T c_type;

    owner() noexcept : object_(nullptr), ctx_(nullptr), status_(0) {}
    /* Takes a handle of C, or the status with which there is none. */
    owner(T *object, imgrec_context *ctx, int status = 0) noexcept
        : object_(object), ctx_(ctx), status_(status) {}
    owner(owner &&other) noexcept
        : object_(other.release()), ctx_(other.ctx_), status_(other.status_) {}
    owner &operator=(owner &&other) noexcept {
      if (this != &other) {
        destroy(object_);
        object_ = other.release();
        ctx_ = other.ctx_;
        status_ = other.status_;
      }
      return *this;
    }
    owner(const owner &) = delete;
    owner &operator=(const owner &) = delete;
    ~owner() { destroy(object_); }

    T *get() const noexcept { return object_; }
    /* Leaves it empty; the caller destroys the handle. */
    T *release() noexcept {
      T *object = object_;
      object_ = nullptr;
      return object;
    }
    explicit operator bool() const noexcept { return object_ != nullptr; }
    /* Negative when making it failed. */
    int status() const noexcept { return status_; }
    imgrec_context *context_handle() const noexcept { return ctx_; }

  protected:
    int check(int status) const { return detail::check(status, ctx_); }

  private:
    T *object_;
    imgrec_context *ctx_;
    int status_;
  };

  /* An Owner of what create(&object, arguments...) makes. */
  template <class Owner, class Create, class... Arguments>
  Owner made(imgrec_context *ctx, Create create, Arguments... arguments) {
    typename Owner::c_type *object = nullptr;
    int status = check(create(&object, arguments...), ctx);
    return Owner(object, ctx, status);
  }

  template <class T, int (*init)(T *, size_t)> struct filled : T {
    filled() : T() { init(this, sizeof(T)); }
  };

  template <class T> struct dtype_of;
  template <> struct dtype_of<float> {
    enum { value = IMGREC_F32 };
  };
  template <> struct dtype_of<uint8_t> {
    enum { value = IMGREC_U8 };
  };
  template <> struct dtype_of<int32_t> {
    enum { value = IMGREC_I32 };
  };

  } // namespace detail

  typedef detail::filled<imgrec_context_options, imgrec_context_options_init>
      context_options;
  typedef detail::filled<imgrec_model_options, imgrec_model_options_init>
      model_options;
  typedef detail::filled<imgrec_trainer_options, imgrec_trainer_options_init>
      trainer_options;
  typedef detail::filled<imgrec_dataset_options, imgrec_dataset_options_init>
      dataset_options;
  typedef detail::filled<imgrec_fit_options, imgrec_fit_options_init>
      fit_options;
  typedef detail::filled<imgrec_fit_result, imgrec_fit_result_init> fit_result;
  typedef detail::filled<imgrec_evaluation, imgrec_evaluation_init> evaluation;
  typedef detail::filled<imgrec_preprocess, imgrec_preprocess_init>
      preprocessing;
  typedef detail::filled<imgrec_calibration, imgrec_calibration_init>
      calibration;
  typedef detail::filled<imgrec_augment, imgrec_augment_init> augmentation;
  typedef detail::filled<imgrec_layer_info, imgrec_layer_info_init> layer_info;
  typedef detail::filled<imgrec_quantize_options, imgrec_quantize_options_init>
      quantize_options;
  typedef detail::filled<imgrec_calibrate_options,
                         imgrec_calibrate_options_init>
      calibrate_options;
  typedef detail::filled<imgrec_calibrate_result, imgrec_calibrate_result_init>
      calibrate_result;

  /* ---- Context ------------------------------------------------------------
   */

  class context : public detail::owner<imgrec_context, imgrec_context_destroy> {
  public:
    context() : context(nullptr) {}
    explicit context(const imgrec_context_options &options)
        : context(&options) {}

    /* The sentence of the last failure, "" before any. */
    const char *last_error() const { return imgrec_last_error(get()); }
    int isa() const { return imgrec_context_isa(get()); }
    int threads() const { return imgrec_context_threads(get()); }
    uint64_t bytes() const { return imgrec_context_bytes(get()); }
    uint64_t peak_bytes() const { return imgrec_context_peak_bytes(get()); }

  private:
    explicit context(const imgrec_context_options *options)
        : owner(detail::made<owner>(nullptr, imgrec_context_create, options)) {}
  };

  /* ---- Tensor and image ---------------------------------------------------
   */

  class tensor : public detail::owner<imgrec_tensor, imgrec_tensor_destroy> {
  public:
    using owner::owner;
    tensor() = default;
    tensor(const context &ctx, int dtype, const std::vector<int64_t> &shape)
        : tensor(detail::made<tensor>(ctx.get(), imgrec_tensor_create,
                                      ctx.get(), dtype, int(shape.size()),
                                      shape.data())) {}
    /* Over memory that outlives the tensor: float, uint8_t or int32_t. */
    template <class T>
    static tensor wrap(const context &ctx, T *data,
                       const std::vector<int64_t> &shape) {
      return detail::made<tensor>(ctx.get(), imgrec_tensor_wrap, ctx.get(),
                                  int(detail::dtype_of<T>::value),
                                  int(shape.size()), shape.data(), data);
    }

    int dtype() const { return imgrec_tensor_dtype(get()); }
    int ndim() const { return imgrec_tensor_ndim(get()); }
    int64_t dim(int axis) const { return imgrec_tensor_dim(get(), axis); }
    size_t nbytes() const { return imgrec_tensor_nbytes(get()); }
    std::vector<int64_t> shape() const {
      std::vector<int64_t> sizes;
      for (int axis = 0; axis < ndim(); axis++)
        sizes.push_back(dim(axis));
      return sizes;
    }
    /* The elements in place; NULL where they are of another type. */
    template <class T> T *data() {
      return dtype() == int(detail::dtype_of<T>::value)
                 ? static_cast<T *>(imgrec_tensor_data(get()))
                 : nullptr;
    }
    template <class T> const T *data() const {
      return const_cast<tensor *>(this)->data<T>();
    }

    /* New images of this one. */
    tensor resize(int height, int width,
                  int rule = IMGREC_RESIZE_STRETCH) const {
      return made(imgrec_image_resize, height, width, rule);
    }
    tensor crop(int top, int left, int height, int width) const {
      return made(imgrec_image_crop, top, left, height, width);
    }
    tensor rotate(float degrees) const {
      return made(imgrec_image_rotate, degrees);
    }
    tensor flip(int axis) const { return made(imgrec_image_flip, axis); }
    tensor convert(int channels) const {
      return made(imgrec_image_convert, channels);
    }
    tensor adjust(float brightness, float contrast, float saturation) const {
      return made(imgrec_image_adjust, brightness, contrast, saturation);
    }
    tensor equalize() const { return made(imgrec_image_equalize); }
    tensor blur(float sigma) const { return made(imgrec_image_blur, sigma); }
    tensor sharpen(float sigma, float amount) const {
      return made(imgrec_image_sharpen, sigma, amount);
    }
    tensor preprocess(const imgrec_preprocess &how) const {
      return made(imgrec_image_preprocess, &how);
    }
    tensor augment(const imgrec_augment &how, uint64_t seed, uint64_t epoch,
                   uint64_t index,
                   const imgrec_preprocess *preprocess = nullptr) const {
      return made(imgrec_image_augment, preprocess, &how, seed, epoch, index);
    }

  private:
    template <class Create, class... Arguments>
    tensor made(Create create, Arguments... arguments) const {
      return detail::made<tensor>(context_handle(), create,
                                  static_cast<const imgrec_tensor *>(get()),
                                  arguments...);
    }
  };

  inline tensor load_image(const context &ctx, const std::string &path,
                           int channels = 0) {
    return detail::made<tensor>(ctx.get(), imgrec_image_load, ctx.get(),
                                path.c_str(), channels);
  }

  inline tensor decode_image(const context &ctx, const void *bytes, size_t size,
                             int channels = 0) {
    return detail::made<tensor>(ctx.get(), imgrec_image_decode, ctx.get(),
                                bytes, size, channels);
  }

  /* ---- Data sets ----------------------------------------------------------
   */

  class model;

  class dataset : public detail::owner<imgrec_dataset, imgrec_dataset_destroy> {
  public:
    using owner::owner;
    dataset() = default;
    dataset(const context &ctx, const std::string &path,
            const imgrec_dataset_options &options = dataset_options())
        : dataset(detail::made<dataset>(ctx.get(), imgrec_dataset_open,
                                        ctx.get(), path.c_str(), &options)) {}
    dataset(const context &ctx, const tensor &images, const tensor &labels,
            int classes)
        : dataset(detail::made<dataset>(
              ctx.get(), imgrec_dataset_from_memory, ctx.get(),
              static_cast<const imgrec_tensor *>(images.get()),
              static_cast<const imgrec_tensor *>(labels.get()), classes)) {}

    /* The second part has `fraction` of each class; both empty on failure. */
    std::pair<dataset, dataset> split(float fraction, uint64_t seed = 0) const {
      imgrec_dataset *first = nullptr, *second = nullptr;
      int status =
          check(imgrec_dataset_split(&first, &second, get(), fraction, seed));
      return std::make_pair(dataset(first, context_handle(), status),
                            dataset(second, context_handle(), status));
    }
    int64_t size() const { return imgrec_dataset_size(get()); }
    int classes() const { return imgrec_dataset_classes(get()); }
    std::string label(int index) const {
      return imgrec_dataset_label(get(), index);
    }
    int class_of(int64_t index) const {
      return imgrec_dataset_class(get(), index);
    }
    bool readable(int64_t index) const {
      return imgrec_dataset_readable(get(), index) != 0;
    }
    std::string source(int64_t index) const {
      return imgrec_dataset_source(get(), index);
    }
    tensor image(int64_t index) const {
      return detail::made<tensor>(context_handle(), imgrec_dataset_image, get(),
                                  index);
    }
    /* H, W, C; 0 for what differs between the images. */
    std::array<int64_t, 3> shape() const {
      std::array<int64_t, 3> sizes;
      imgrec_dataset_shape(get(), sizes.data());
      return sizes;
    }
    std::string description() const {
      return imgrec_dataset_description(get());
    }
    int skipped() const { return imgrec_dataset_skipped(get()); }
    std::string skipped_reason(int index) const {
      return imgrec_dataset_skipped_reason(get(), index);
    }
    std::string digest() const {
      char digits[65] = "";
      check(imgrec_dataset_digest(get(), digits, sizeof digits));
      return digits;
    }
    int match_labels(const model &by);
    int remove(const std::vector<int64_t> &indices) {
      return check(imgrec_dataset_remove(get(), indices.data(),
                                         int64_t(indices.size())));
    }
  };

  /* ---- Model --------------------------------------------------------------
   */

  /* The text of a built-in architecture; sizes of 0 are the preset's own. */
  inline std::string preset(const char *name, int height, int width,
                            int channels, int classes) {
    int length = detail::check(
        imgrec_preset(name, height, width, channels, classes, nullptr, 0),
        nullptr);
    std::string text(length < 0 ? 0 : size_t(length) + 1, '\0');
    if (length >= 0) {
      imgrec_preset(name, height, width, channels, classes, &text[0],
                    text.size());
      text.pop_back();
    }
    return text;
  }

  class model : public detail::owner<imgrec_model, imgrec_model_destroy> {
  public:
    using owner::owner;
    model() = default;
    static model create(const context &ctx, const std::string &architecture,
                        const imgrec_model_options &options = model_options()) {
      return detail::made<model>(ctx.get(), imgrec_model_create, ctx.get(),
                                 architecture.c_str(), &options);
    }
    static model load(const context &ctx, const std::string &path,
                      const imgrec_model_options &options = model_options()) {
      return detail::made<model>(ctx.get(), imgrec_model_load, ctx.get(),
                                 path.c_str(), &options);
    }
    static model
    load_memory(const context &ctx, const void *bytes, size_t size,
                const imgrec_model_options &options = model_options()) {
      return detail::made<model>(ctx.get(), imgrec_model_load_memory, ctx.get(),
                                 bytes, size, &options);
    }
    static model adapt(const context &ctx, const std::string &path, int classes,
                       const imgrec_model_options &options = model_options()) {
      return detail::made<model>(ctx.get(), imgrec_model_adapt, ctx.get(),
                                 path.c_str(), classes, &options);
    }
    /* On the same weights, for the thread of that context. */
    model share(const context &ctx,
                const imgrec_model_options *options = nullptr) const {
      return detail::made<model>(ctx.get(), imgrec_model_share,
                                 static_cast<const imgrec_model *>(get()),
                                 ctx.get(), options);
    }
    int save(const std::string &path) const {
      return check(imgrec_model_save(get(), path.c_str()));
    }
    int load_weights(const std::string &path) {
      return check(imgrec_model_load_weights(get(), path.c_str()));
    }
    int transfer_weights(const std::string &path) {
      return check(imgrec_model_transfer_weights(get(), path.c_str()));
    }

    int classes() const { return imgrec_model_classes(get()); }
    std::string label(int index) const {
      return imgrec_model_label(get(), index);
    }
    int set_labels(const std::vector<std::string> &labels) {
      std::vector<const char *> names;
      for (size_t i = 0; i < labels.size(); i++)
        names.push_back(labels[i].c_str());
      return check(
          imgrec_model_set_labels(get(), int(names.size()), names.data()));
    }
    /* H, W, C. */
    std::array<int64_t, 3> input_shape() const {
      std::array<int64_t, 3> sizes;
      imgrec_model_input_shape(get(), sizes.data());
      return sizes;
    }
    std::string architecture() const {
      return imgrec_model_architecture(get());
    }
    int layers() const { return imgrec_model_layer_count(get()); }
    layer_info layer(int index) const {
      layer_info info;
      check(imgrec_model_layer(get(), index, &info));
      return info;
    }
    uint64_t memory(int batch, bool training) const {
      uint64_t bytes = 0;
      check(imgrec_model_memory(get(), batch, training, &bytes));
      return bytes;
    }

    preprocessing get_preprocess() const {
      preprocessing how;
      check(imgrec_model_get_preprocess(get(), &how));
      return how;
    }
    int set_preprocess(const imgrec_preprocess &how) {
      return check(imgrec_model_set_preprocess(get(), &how));
    }
    calibration get_calibration() const {
      calibration how;
      check(imgrec_model_get_calibration(get(), &how));
      return how;
    }
    int set_calibration(const imgrec_calibration &how) {
      return check(imgrec_model_set_calibration(get(), &how));
    }
    int calibrate(const dataset &validation,
                  const imgrec_calibrate_options *options = nullptr,
                  imgrec_calibrate_result *result = nullptr) {
      return check(
          imgrec_model_calibrate(get(), validation.get(), options, result));
    }
    bool rejects(float probability) const {
      return imgrec_model_rejects(get(), probability) == 1;
    }

    /* "" for an index that is none. */
    std::string parameter_name(int index) const {
      const char *name = imgrec_model_parameter_name(get(), index);
      return name ? name : "";
    }
    int parameters() const { return imgrec_model_parameter_count(get()); }
    tensor parameter(const std::string &name) const {
      return detail::made<tensor>(context_handle(), imgrec_model_get_parameter,
                                  static_cast<const imgrec_model *>(get()),
                                  name.c_str());
    }
    int set_parameter(const std::string &name, const tensor &value) {
      return check(
          imgrec_model_set_parameter(get(), name.c_str(), value.get()));
    }
    int freeze(const std::string &prefix) {
      return check(imgrec_model_freeze(get(), prefix.c_str()));
    }
    int unfreeze(const std::string &prefix) {
      return check(imgrec_model_unfreeze(get(), prefix.c_str()));
    }
    int round_weights(int type) {
      return check(imgrec_model_round_weights(get(), type));
    }
    /* A new model in 8 bits. */
    model quantize(const dataset &images,
                   const imgrec_quantize_options *options = nullptr) {
      return detail::made<model>(context_handle(), imgrec_model_quantize, get(),
                                 images.get(), options);
    }

    /* Allocates nothing. */
    int forward(const tensor &x, tensor &y) {
      return check(imgrec_model_forward(get(), x.get(), y.get()));
    }
    /* Allocates nothing; how many of the `k` most probable there are. */
    int classify(const tensor &image, int k, imgrec_result *results) {
      return check(imgrec_model_classify(get(), image.get(), k, results));
    }
    std::vector<imgrec_result> classify(const tensor &image, int k = 5) {
      std::vector<imgrec_result> results(k < 1 ? 1 : size_t(k));
      int count = classify(image, k, results.data());
      results.resize(count < 0 ? 0 : size_t(count));
      return results;
    }
    /* Where the class is seen; -1: the most probable one. */
    tensor explain(const tensor &image, int class_index = -1) {
      return detail::made<tensor>(
          context_handle(), imgrec_model_explain, get(),
          static_cast<const imgrec_tensor *>(image.get()), class_index);
    }
    int evaluate(const dataset &data, imgrec_evaluation &out) {
      return check(imgrec_evaluate(get(), data.get(), &out));
    }
  };

  inline int dataset::match_labels(const model &by) {
    return check(imgrec_dataset_match_labels(get(), by.get()));
  }

  /* ---- Training -----------------------------------------------------------
   */

  class trainer : public detail::owner<imgrec_trainer, imgrec_trainer_destroy> {
  public:
    using owner::owner;
    trainer() = default;
    explicit trainer(const model &of,
                     const imgrec_trainer_options &options = trainer_options())
        : trainer(detail::made<trainer>(
              of.context_handle(), imgrec_trainer_create, of.get(), &options)) {
    }

    /* One batch; allocates nothing. */
    int step(const tensor &x, const tensor &labels, float *loss = nullptr) {
      return check(imgrec_train_step(get(), x.get(), labels.get(), loss));
    }
    /* IMGREC_STEP_DONE, or IMGREC_STEP_UNFINISHED after about `ms`. */
    int step_ms(const tensor &x, const tensor &labels, float ms,
                float *loss = nullptr) {
      return check(
          imgrec_train_step_ms(get(), x.get(), labels.get(), ms, loss));
    }
    void abandon() { imgrec_trainer_abandon(get()); }
    float longest_piece() const { return imgrec_trainer_longest_piece(get()); }
    int set_learning_rate(float rate) {
      return check(imgrec_trainer_set_learning_rate(get(), rate));
    }
    int set_layer_rate(const std::string &prefix, float factor) {
      return check(
          imgrec_trainer_set_layer_rate(get(), prefix.c_str(), factor));
    }
    int swap_average() { return check(imgrec_trainer_swap_average(get())); }
    int save(const std::string &path) const {
      return check(imgrec_trainer_save(get(), path.c_str()));
    }
    int load(const std::string &path) {
      return check(imgrec_trainer_load(get(), path.c_str()));
    }

    /* `val` may be empty. */
    int fit(const dataset &train, const dataset &val,
            const imgrec_fit_options *options = nullptr,
            imgrec_fit_result *result = nullptr) {
      return check(imgrec_fit(get(), train.get(), val.get(), options, result));
    }
    /* progress: int(const imgrec_progress &), which gives an IMGREC_FIT_. */
    template <class Progress>
    int fit(const dataset &train, const dataset &val,
            imgrec_fit_options options, Progress progress,
            imgrec_fit_result *result = nullptr) {
      listener<Progress> told(&progress);
      options.progress = listener<Progress>::call;
      options.progress_user = &told;
      int status = imgrec_fit(get(), train.get(), val.get(), &options, result);
      told.rethrow();
      return check(status);
    }

  private:
    /* No exception may pass through the library's frames. */
    template <class Progress> struct listener {
      Progress *progress;
#if IMGREC_THROWS
      std::exception_ptr thrown;
      explicit listener(Progress *told) : progress(told), thrown() {}
      static int call(void *user, const imgrec_progress *p) {
        listener *self = static_cast<listener *>(user);
        try {
          return (*self->progress)(*p);
        } catch (...) {
          self->thrown = std::current_exception();
          return IMGREC_FIT_STOP;
        }
      }
      void rethrow() const {
        if (thrown)
          std::rethrow_exception(thrown);
      }
#else
      explicit listener(Progress *told) : progress(told) {}
      static int call(void *user, const imgrec_progress *p) {
        return (*static_cast<listener *>(user)->progress)(*p);
      }
      void rethrow() const {}
#endif
    };
  };

} // inline namespace
} // namespace imgrec

#endif
