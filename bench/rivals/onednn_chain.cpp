// SPDX-License-Identifier: MIT
/* A chain of convolutions, max pools and dense layers by hand from oneDNN's
 * primitives, with its Winograd if asked: what its best kernels give without a
 * framework around them.  oneDNN 2 (later ones have no Winograd for x86). */
#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#if DNNL_VERSION_MAJOR != 2
#error "written for oneDNN 2"
#endif

using namespace dnnl;
using dims = memory::dims;
using tag = memory::format_tag;

namespace {

enum { CONV, POOL, DENSE };

struct layer_spec { // of with_onednn.py
  int kind, units, kernel, pad, relu;
  const float *weight, *bias;
};

memory::desc any(const dims &d) {
  return {d, memory::data_type::f32, tag::any};
}

memory::desc plain(const dims &d) {
  tag t = d.size() == 4 ? tag::nchw : d.size() == 2 ? tag::nc : tag::x;
  return {d, memory::data_type::f32, t};
}

struct call {
  primitive p;
  std::unordered_map<int, memory> arguments;
};

/* Weights, gradients and moments of one parameter, all in one layout. */
struct parameter {
  memory value, gradient, m, v;
};

struct chain {
  engine e{engine::kind::cpu, 0};
  stream s{e};
  bool winograd = false, training = false;
  int64_t batch = 0;
  int classes = 0, steps = 0;
  memory input, output, d_output;
  std::vector<call> forward, backward;
  std::vector<parameter> parameters;

  memory make(const memory::desc &d) {
    memory result(d, e);
    std::memset(result.get_data_handle(), 0, d.get_size());
    return result;
  }

  /* `from` in the layout of `d`: itself, or a copy made by a reorder. */
  memory as(const memory &from, const memory::desc &d,
            std::vector<call> *when) {
    if (from.get_desc() == d)
      return from;
    memory to = make(d);
    reorder r(from, to);
    if (when)
      when->push_back({r, {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}});
    else
      r.execute(s, const_cast<memory &>(from), to);
    return to;
  }

  memory copied(const dims &d, const float *data) {
    memory result(plain(d), e);
    std::memcpy(result.get_data_handle(), data, result.get_desc().get_size());
    return result;
  }

  /* In `d` for inference, where it may be a transformed one; in training
   * weights live in the layout of their gradient. */
  memory weights(const dims &d, const float *data, const memory::desc &used,
                 const memory::desc &kept) {
    memory user = copied(d, data);
    if (!training)
      return as(user, used, nullptr);
    memory value = as(user, kept, nullptr);
    parameters.push_back({value, make(kept), make(kept), make(kept)});
    return as(value, used, &forward);
  }

  /* Undo the ReLU: d *= y > 0, in place. */
  void relu_backward(const memory &y, memory &d) {
    d = as(d, y.get_desc(), &backward);
    auto md = y.get_desc();
    eltwise_forward::primitive_desc hint(
        {prop_kind::forward_training, algorithm::eltwise_relu_use_dst_for_bwd,
         md, 0.f, 0.f},
        e);
    eltwise_backward::primitive_desc pd(
        {algorithm::eltwise_relu_use_dst_for_bwd, md, md, 0.f, 0.f}, e, hint);
    backward.push_back(
        {eltwise_backward(pd),
         {{DNNL_ARG_DST, y}, {DNNL_ARG_DIFF_DST, d}, {DNNL_ARG_DIFF_SRC, d}}});
  }
};

primitive_attr with_relu(bool relu) {
  primitive_attr attr;
  post_ops ops;
  if (relu)
    ops.append_eltwise(1.f, algorithm::eltwise_relu, 0.f, 0.f);
  attr.set_post_ops(ops);
  return attr;
}

/* make(algorithm): Winograd where asked and possible, else direct. */
template <class F> auto conv_pd(const chain &c, F make) {
  if (c.winograd) {
    try {
      return make(algorithm::convolution_winograd);
    } catch (const error &) {
    }
  }
  return make(algorithm::convolution_direct);
}

/* The backward part of a layer: takes the gradient of its output, gives that
 * of its input. */
using undo = std::function<memory(memory)>;

undo add_conv(chain &c, const layer_spec &l, memory &x, bool first) {
  dims in = x.get_desc().dims(), out = {in[0], l.units, 0, 0};
  for (int i = 2; i < 4; i++)
    out[i] = in[i] + 2 * l.pad - l.kernel + 1;
  dims w = {l.units, in[1], l.kernel, l.kernel}, b = {l.units};
  dims ones = {1, 1}, pad = {l.pad, l.pad};
  auto prop =
      c.training ? prop_kind::forward_training : prop_kind::forward_inference;
  auto pd = conv_pd(c, [&](algorithm a) {
    return convolution_forward::primitive_desc(
        {prop, a, any(in), any(w), any(b), any(out), ones, pad, pad},
        with_relu(l.relu), c.e);
  });
  auto wpd = conv_pd(c, [&](algorithm a) {
    return convolution_backward_weights::primitive_desc(
        {a, any(in), any(w), any(b), any(out), ones, pad, pad}, c.e, pd);
  });
  memory weight =
      c.weights(w, l.weight, pd.weights_desc(), wpd.diff_weights_desc());
  size_t at = c.parameters.size() - 1;
  memory bias = c.weights(b, l.bias, pd.bias_desc(), wpd.diff_bias_desc());
  memory src = c.as(x, pd.src_desc(), &c.forward), y = c.make(pd.dst_desc());
  c.forward.push_back({convolution_forward(pd),
                       {{DNNL_ARG_SRC, src},
                        {DNNL_ARG_WEIGHTS, weight},
                        {DNNL_ARG_BIAS, bias},
                        {DNNL_ARG_DST, y}}});
  x = y;
  return [=, &c](memory d) {
    if (l.relu)
      c.relu_backward(y, d);
    parameter &pw = c.parameters[at], &pb = c.parameters[at + 1];
    c.backward.push_back(
        {convolution_backward_weights(wpd),
         {{DNNL_ARG_SRC, c.as(src, wpd.src_desc(), &c.backward)},
          {DNNL_ARG_DIFF_DST, c.as(d, wpd.diff_dst_desc(), &c.backward)},
          {DNNL_ARG_DIFF_WEIGHTS, pw.gradient},
          {DNNL_ARG_DIFF_BIAS, pb.gradient}}});
    if (first)
      return d;
    auto dpd = conv_pd(c, [&](algorithm a) {
      return convolution_backward_data::primitive_desc(
          {a, any(in), any(w), any(out), ones, pad, pad}, c.e, pd);
    });
    memory dx = c.make(dpd.diff_src_desc());
    c.backward.push_back(
        {convolution_backward_data(dpd),
         {{DNNL_ARG_DIFF_DST, c.as(d, dpd.diff_dst_desc(), &c.backward)},
          {DNNL_ARG_WEIGHTS, c.as(pw.value, dpd.weights_desc(), &c.backward)},
          {DNNL_ARG_DIFF_SRC, dx}}});
    return dx;
  };
}

undo add_pool(chain &c, const layer_spec &l, memory &x) {
  dims in = x.get_desc().dims(), out = in;
  out[2] = in[2] / l.kernel, out[3] = in[3] / l.kernel;
  dims k = {l.kernel, l.kernel}, pad = {0, 0};
  auto prop =
      c.training ? prop_kind::forward_training : prop_kind::forward_inference;
  pooling_forward::primitive_desc pd(
      {prop, algorithm::pooling_max, x.get_desc(), any(out), k, k, pad, pad},
      c.e);
  memory y = c.make(pd.dst_desc()), work;
  call f = {pooling_forward(pd), {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}}};
  if (c.training) {
    work = c.make(pd.workspace_desc());
    f.arguments[DNNL_ARG_WORKSPACE] = work;
  }
  c.forward.push_back(f);
  auto x_desc = x.get_desc();
  x = y;
  return [=, &c](memory d) {
    pooling_backward::primitive_desc bpd(
        {algorithm::pooling_max, x_desc, y.get_desc(), k, k, pad, pad}, c.e,
        pd);
    memory dx = c.make(bpd.diff_src_desc());
    c.backward.push_back(
        {pooling_backward(bpd),
         {{DNNL_ARG_DIFF_DST, c.as(d, bpd.diff_dst_desc(), &c.backward)},
          {DNNL_ARG_WORKSPACE, work},
          {DNNL_ARG_DIFF_SRC, dx}}});
    return dx;
  };
}

undo add_dense(chain &c, const layer_spec &l, memory &x) {
  dims in = x.get_desc().dims(), out = {in[0], l.units}, w = in, b = {l.units};
  w[0] = l.units;
  auto prop =
      c.training ? prop_kind::forward_training : prop_kind::forward_inference;
  inner_product_forward::primitive_desc pd(
      {prop, any(in), any(w), any(b), any(out)}, with_relu(l.relu), c.e);
  inner_product_backward_weights::primitive_desc wpd(
      {any(in), any(w), any(b), any(out)}, c.e, pd);
  memory weight =
      c.weights(w, l.weight, pd.weights_desc(), wpd.diff_weights_desc());
  size_t at = c.parameters.size() - 1;
  memory bias = c.weights(b, l.bias, pd.bias_desc(), wpd.diff_bias_desc());
  memory src = c.as(x, pd.src_desc(), &c.forward), y = c.make(pd.dst_desc());
  c.forward.push_back({inner_product_forward(pd),
                       {{DNNL_ARG_SRC, src},
                        {DNNL_ARG_WEIGHTS, weight},
                        {DNNL_ARG_BIAS, bias},
                        {DNNL_ARG_DST, y}}});
  x = y;
  return [=, &c](memory d) {
    if (l.relu)
      c.relu_backward(y, d);
    parameter &pw = c.parameters[at], &pb = c.parameters[at + 1];
    inner_product_backward_data::primitive_desc dpd({any(in), any(w), any(out)},
                                                    c.e, pd);
    memory dx = c.make(dpd.diff_src_desc());
    c.backward.push_back(
        {inner_product_backward_weights(wpd),
         {{DNNL_ARG_SRC, c.as(src, wpd.src_desc(), &c.backward)},
          {DNNL_ARG_DIFF_DST, c.as(d, wpd.diff_dst_desc(), &c.backward)},
          {DNNL_ARG_DIFF_WEIGHTS, pw.gradient},
          {DNNL_ARG_DIFF_BIAS, pb.gradient}}});
    c.backward.push_back(
        {inner_product_backward_data(dpd),
         {{DNNL_ARG_DIFF_DST, c.as(d, dpd.diff_dst_desc(), &c.backward)},
          {DNNL_ARG_WEIGHTS, c.as(pw.value, dpd.weights_desc(), &c.backward)},
          {DNNL_ARG_DIFF_SRC, dx}}});
    return dx;
  };
}

/* Softmax of each row of logits; the mean cross-entropy of the labels. */
float softmax(chain &c, const int32_t *labels) {
  auto *y = static_cast<float *>(c.output.get_data_handle());
  auto *d = static_cast<float *>(c.d_output.get_data_handle());
  float loss = 0;
  for (int64_t i = 0; i < c.batch; i++, y += c.classes, d += c.classes) {
    float top = *std::max_element(y, y + c.classes), sum = 0;
    for (int k = 0; k < c.classes; k++)
      sum += d[k] = std::exp(y[k] - top);
    for (int k = 0; k < c.classes; k++)
      d[k] /= sum;
    if (labels) {
      loss += (std::log(sum) - (y[labels[i]] - top)) / (float)c.batch;
      for (int k = 0; k < c.classes; k++)
        d[k] = (d[k] - (float)(k == labels[i])) / (float)c.batch;
    }
  }
  return loss;
}

void adam(const parameter &p, int t) {
  auto n = (int64_t)(p.value.get_desc().get_size() / sizeof(float));
  auto *w = static_cast<float *>(p.value.get_data_handle());
  auto *g = static_cast<float *>(p.gradient.get_data_handle());
  auto *m = static_cast<float *>(p.m.get_data_handle());
  auto *v = static_cast<float *>(p.v.get_data_handle());
  float rate = 1e-3f * std::sqrt(1 - std::pow(0.999f, (float)t)) /
               (1 - std::pow(0.9f, (float)t));
#pragma omp parallel for simd if (n > 10000)
  for (int64_t i = 0; i < n; i++) {
    m[i] += 0.1f * (g[i] - m[i]);
    v[i] += 0.001f * (g[i] * g[i] - v[i]);
    w[i] -= rate * m[i] / (std::sqrt(v[i]) + 1e-7f);
  }
}

void run(chain &c, const std::vector<call> &calls) {
  for (const call &one : calls)
    one.p.execute(c.s, one.arguments);
  c.s.wait();
}

} // namespace

extern "C" {

extern const int onednn_version[3] = {DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR,
                                      DNNL_VERSION_PATCH};

/* x: batch x C x H x W. */
chain *chain_create(const layer_spec *layers, int count, int batch, int height,
                    int width, int channels, const float *x, int training,
                    int winograd) try {
  auto c = std::make_unique<chain>();
  c->winograd = winograd, c->training = training, c->batch = batch;
  c->input = c->copied({batch, channels, height, width}, x);
  std::vector<undo> undos;
  memory y = c->input;
  for (int i = 0; i < count; i++)
    undos.push_back(layers[i].kind == CONV   ? add_conv(*c, layers[i], y, !i)
                    : layers[i].kind == POOL ? add_pool(*c, layers[i], y)
                                             : add_dense(*c, layers[i], y));
  c->classes = layers[count - 1].units;
  c->output = c->as(y, plain({batch, c->classes}), &c->forward);
  memory d = c->d_output = c->make(plain({batch, c->classes}));
  for (int i = count; training && i-- > 0;)
    d = undos[i](d);
  return c.release();
} catch (const error &) {
  return nullptr;
}

void chain_destroy(chain *c) { delete c; }

/* Returns the probabilities. */
const float *chain_forward(chain *c) {
  run(*c, c->forward);
  softmax(*c, nullptr);
  return static_cast<float *>(c->d_output.get_data_handle());
}

float chain_step(chain *c, const int32_t *labels) {
  run(*c, c->forward);
  float loss = softmax(*c, labels);
  run(*c, c->backward);
  c->steps++;
  for (const parameter &p : c->parameters)
    adam(p, c->steps);
  return loss;
}
}
