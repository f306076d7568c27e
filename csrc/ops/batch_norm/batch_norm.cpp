#include "ops/batch_norm/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/batch_norm/axes.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK(BatchNormKernels<float>, batch_norm_f32)
DENSA_PICK(BatchNormKernels<double>, batch_norm_f64)

template <>
const BatchNormKernels<float>& batch_norm_kernels<float>() {
  return *pick_batch_norm_f32();
}
template <>
const BatchNormKernels<double>& batch_norm_kernels<double>() {
  return *pick_batch_norm_f64();
}

namespace {

void check_parameters(std::span<const TypeInfo> in, const Ints& axes, int first, const char* op) {
  Dims channels;
  for (std::int64_t axis : axes) channels.push_back(in[0].shape[static_cast<int>(axis)]);
  std::int64_t count = 1;
  for (std::int64_t d : channels) {
    if (is_open(d)) throw ValueError(cat(op, ": the batch axis cannot be a channel axis"));
    count *= d;
  }
  for (std::size_t i = first; i < in.size(); ++i) {
    if (in[i].dtype != in[0].dtype)
      throw TypeError(cat(op, ": x is ", dtype_name(in[0].dtype), " but a parameter is ",
                          dtype_name(in[i].dtype)));
    if (element_count(in[i].shape) != count)
      throw ShapeError(cat(op, ": x ", to_string(in[0].shape), " has channels ",
                           to_string(channels), " but a parameter has shape ",
                           to_string(in[i].shape)));
  }
}

std::vector<TypeInfo> infer_batch_norm(std::span<const TypeInfo> in, const Attrs& attrs) {
  if (in.size() != 5)
    throw ValueError(
        cat("batch_norm: five inputs expected (x, gamma, beta, mean, variance), got ", in.size()));
  if (!is_floating(in[0].dtype))
    throw TypeError(cat("batch_norm: x must be floating, got ", dtype_name(in[0].dtype)));
  const Ints axes = channel_axes(attrs, in[0].shape.rank());
  check_parameters(in, axes, 1, "batch_norm");
  if (!(attrs.get_double("epsilon", 1e-3) >= 0))
    throw ValueError("batch_norm: epsilon must not be negative");
  if (!attrs.get_bool("training", false)) return {in[0]};
  return {in[0], in[3], in[4]};
}

std::vector<TypeInfo> infer_grad(std::span<const TypeInfo> in, const Attrs& attrs) {
  if (in.size() != 5)
    throw ValueError(cat(
        "batch_norm_grad: five inputs expected (x, gamma, mean, variance, dy), got ", in.size()));
  const Ints axes = channel_axes(attrs, in[0].shape.rank());
  check_parameters(in.subspan(0, 4), axes, 1, "batch_norm_grad");
  if (!(in[4] == in[0])) throw ShapeError("batch_norm_grad: dy must have the type of x");
  return {in[0], in[1], in[1]};
}

// x seen as [outer][channels][inner] blocks is not general enough for axes such as [1, 3]; walk all
// elements with an odometer instead and keep the channel's number beside.
class ChannelWalk {
 public:
  ChannelWalk(const Dims& shape, const Ints& axes) : shape_(shape) {
    std::int64_t step = 1;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      steps_.push_back(0);
      if (is_channel(axes, axis)) {
        steps_.back() = step;
        step *= shape[axis];
      }
    }
    std::reverse(steps_.begin(), steps_.end());
    channels = step;
    count = element_count(shape);
  }
  // f(element, channel) in row-major order.
  template <class F>
  void each(const F& f) const {
    Dims index;
    for (int i = 0; i < shape_.rank(); ++i) index.push_back(0);
    std::int64_t channel = 0;
    for (std::int64_t e = 0; e < count; ++e) {
      f(e, channel);
      for (int axis = shape_.rank() - 1; axis >= 0; --axis) {
        channel += steps_[axis];
        if (++index[axis] < shape_[axis]) break;
        channel -= steps_[axis] * shape_[axis];
        index[axis] = 0;
      }
    }
  }
  std::int64_t channels = 1, count = 0;

 private:
  Dims shape_;
  Ints steps_;
};

std::size_t scratch_bytes(std::span<const TypeInfo> in, const Attrs&) {
  return 2 * sizeof(double) * static_cast<std::size_t>(element_count(in[1].shape) + 1);
}

template <class T>
void eval_batch_norm(const EvalCall& call) {
  const ChannelWalk walk(call.in[0].shape, channel_axes(call.attrs, call.in[0].shape.rank()));
  const auto epsilon = call.attrs.get_double("epsilon", 1e-3);
  const bool training = call.attrs.get_bool("training", false);
  const T* x = call.in[0].as<T>();
  const T* gamma = call.in[1].as<T>();
  const T* beta = call.in[2].as<T>();
  T* y = call.out[0].as<T>();
  double* mean = static_cast<double*>(call.scratch);
  double* variance = mean + walk.channels;
  const std::int64_t per_channel = walk.channels > 0 ? walk.count / walk.channels : 0;
  const double n = static_cast<double>(per_channel);
  if (training) {
    std::fill(mean, mean + 2 * walk.channels, 0.0);
    walk.each([&](std::int64_t e, std::int64_t c) { mean[c] += x[e]; });
    for (std::int64_t c = 0; c < walk.channels; ++c) mean[c] /= n;
    walk.each([&](std::int64_t e, std::int64_t c) {
      const double d = x[e] - mean[c];
      variance[c] += d * d;
    });
    for (std::int64_t c = 0; c < walk.channels; ++c) {
      variance[c] /= n;
      call.out[1].as<T>()[c] = static_cast<T>(mean[c]);
      call.out[2].as<T>()[c] = static_cast<T>(variance[c]);
    }
  } else {
    for (std::int64_t c = 0; c < walk.channels; ++c) {
      mean[c] = call.in[3].as<T>()[c];
      variance[c] = call.in[4].as<T>()[c];
    }
  }
  for (std::int64_t c = 0; c < walk.channels; ++c)
    variance[c] = 1 / std::sqrt(variance[c] + epsilon);
  walk.each([&](std::int64_t e, std::int64_t c) {
    y[e] = static_cast<T>((x[e] - mean[c]) * (variance[c] * gamma[c]) + beta[c]);
  });
}

template <class T>
void eval_grad(const EvalCall& call) {
  const ChannelWalk walk(call.in[0].shape, channel_axes(call.attrs, call.in[0].shape.rank()));
  const auto epsilon = call.attrs.get_double("epsilon", 1e-3);
  const T* x = call.in[0].as<T>();
  const T* gamma = call.in[1].as<T>();
  const T* mean = call.in[2].as<T>();
  const T* variance = call.in[3].as<T>();
  const T* dy = call.in[4].as<T>();
  T* dx = call.out[0].as<T>();
  double* dgamma = static_cast<double*>(call.scratch);
  double* dbeta = dgamma + walk.channels;
  std::fill(dgamma, dgamma + 2 * walk.channels, 0.0);
  walk.each([&](std::int64_t e, std::int64_t c) {
    dbeta[c] += dy[e];
    dgamma[c] += dy[e] * (static_cast<double>(x[e]) - mean[c]);
  });
  for (std::int64_t c = 0; c < walk.channels; ++c) {
    dgamma[c] /= std::sqrt(variance[c] + epsilon);
    call.out[1].as<T>()[c] = static_cast<T>(dgamma[c]);
    call.out[2].as<T>()[c] = static_cast<T>(dbeta[c]);
  }
  const std::int64_t per_channel = walk.channels > 0 ? walk.count / walk.channels : 0;
  const double n = static_cast<double>(per_channel);
  walk.each([&](std::int64_t e, std::int64_t c) {
    const double s = 1 / std::sqrt(variance[c] + epsilon);
    const double h = (static_cast<double>(x[e]) - mean[c]) * s;
    dx[e] = static_cast<T>(gamma[c] * s * (dy[e] - (dbeta[c] + h * dgamma[c]) / n));
  });
}

template <void (*kF32)(const EvalCall&), void (*kF64)(const EvalCall&)>
void by_dtype(const EvalCall& call) {
  (call.in[0].dtype == DType::kFloat64 ? kF64 : kF32)(call);
}

// A per-channel value, shaped so that it broadcasts against x; and the sum back to channels.
struct Channels {
  Builder& build;
  const TypeInfo& x;
  const Ints axes;
  Value spread(const Value& v) const {
    Ints shape(static_cast<std::size_t>(x.shape.rank()), 1);
    for (std::int64_t axis : axes) shape[axis] = x.shape[static_cast<int>(axis)];
    return build.apply("reshape", {v}, {{"shape", shape}});
  }
  Value gather(const Value& v, const Dims& shape) const {
    Ints others;
    for (int axis = 0; axis < x.shape.rank(); ++axis)
      if (!is_channel(axes, axis)) others.push_back(axis);
    const Value sum =
        others.empty() ? v : build.apply("sum", {v}, {{"axis", others}, {"keepdims", false}});
    return build.apply("reshape", {sum}, {{"shape", Ints(shape.begin(), shape.end())}});
  }
};

std::vector<Value> grad_batch_norm(const GradCall& g) {
  const Value &x = g.in[0], &gamma = g.in[1];
  const TypeInfo& type = x->type;
  const double epsilon = g.attrs.get_double("epsilon", 1e-3);
  const Channels channels{g.build, type, channel_axes(g.attrs, type.shape.rank())};
  std::vector<Value> dx(5);
  if (g.attrs.get_bool("training", false)) {
    const Value dy = g.dy[0] ? g.dy[0] : g.build.full(type, 0);
    const Value in[] = {x, gamma, g.out[1], g.out[2], dy};
    Attrs attrs{{"axis", g.attrs.get_ints("axis", {-1})}, {"epsilon", epsilon}};
    const std::vector<Value> all = g.build.apply_all("batch_norm_grad", in, attrs);
    dx[0] = all[0], dx[1] = all[1], dx[2] = all[2];
    // Through the statistics themselves: d mean = 1 / n, d variance = 2 (x - mean) / n.
    if (g.dy.size() > 1 && (g.dy[1] || g.dy[2])) {
      const Value ones = g.build.full(type, 1);
      const Value n = channels.spread(channels.gather(ones, gamma->type.shape));
      if (g.dy[1])
        dx[0] =
            g.build.apply("add", {dx[0], g.build.apply("divide", {channels.spread(g.dy[1]), n})});
      if (g.dy[2]) {
        const Value two = g.build.full({type.dtype, {}}, 2);
        const Value centred = g.build.apply("subtract", {x, channels.spread(g.out[1])});
        const Value slope = g.build.apply("divide", {g.build.apply("multiply", {centred, two}), n});
        dx[0] = g.build.apply(
            "add", {dx[0], g.build.apply("multiply", {slope, channels.spread(g.dy[2])})});
      }
    }
    return dx;
  }
  const Value dy = g.dy[0];
  const Value eps = g.build.full({type.dtype, {}}, epsilon);
  const Value s = g.build.apply("rsqrt", {g.build.apply("add", {g.in[4], eps})});
  const Value slope = g.build.apply("multiply", {gamma, s});
  if (g.needs[0]) dx[0] = g.build.apply("multiply", {dy, channels.spread(slope)});
  const Dims& shape = gamma->type.shape;
  Value dbeta, dot;
  if (g.needs[2] || g.needs[3]) dbeta = channels.gather(dy, shape);
  if (g.needs[1] || g.needs[4]) {
    const Value centred = g.build.apply("subtract", {x, channels.spread(g.in[3])});
    dot = channels.gather(g.build.apply("multiply", {dy, centred}), shape);
  }
  if (g.needs[1]) dx[1] = g.build.apply("multiply", {dot, s});
  if (g.needs[2]) dx[2] = dbeta;
  if (g.needs[3]) dx[3] = g.build.apply("negative", {g.build.apply("multiply", {dbeta, slope})});
  if (g.needs[4]) {
    const Value half = g.build.full({type.dtype, {}}, -0.5);
    const Value cube = g.build.apply("multiply", {slope, g.build.apply("square", {s})});
    dx[4] = g.build.apply("multiply", {g.build.apply("multiply", {dot, cube}), half});
  }
  return dx;
}

const Op kOps[] = {
    {"batch_norm", infer_batch_norm, grad_batch_norm,
     by_dtype<eval_batch_norm<float>, eval_batch_norm<double>>, scratch_bytes},
    {"batch_norm_grad", infer_grad, nullptr, by_dtype<eval_grad<float>, eval_grad<double>>,
     scratch_bytes},
};

}  // namespace

namespace ops {
std::span<const Op> batch_norm() { return kOps; }
}  // namespace ops

}  // namespace densa
