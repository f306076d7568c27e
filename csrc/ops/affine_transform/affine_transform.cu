// affine_transform on a GPU: one thread per number of the output; of the gradient, one per channel
// of an image, so that its sums have one order.
#include "ops/affine_transform/affine_transform.h"

#include "cuda/kernel.h"
#include "cuda/launch.h"
#include "ops/backend.h"

namespace densa::inline DENSA_ISA {
namespace {

template <bool kBilinear, class T>
__device__ Taps<T, kBilinear> read_taps(const AffineCall& a, Global<const T> transforms,
                                        std::int64_t image, std::int32_t x, std::int32_t y) {
  T m[6];
  for (int k = 0; k < 6; ++k) m[k] = transforms[6 * image + k];
  return taps_of<kBilinear>(a, line_of(m, y), x);
}

template <bool kBilinear, class T>
__global__ void sample(std::int64_t n, AffineCall a, Global<const T> transforms, Global<const T> x,
                       Global<T> y) {
  const std::int64_t pixels = a.new_pixels(), size = pixels * a.channels;
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    const std::int64_t image = i / size, rest = i - image * size;
    const std::int64_t channel = a.channels_first ? rest / pixels : rest % a.channels;
    const std::int64_t pixel = a.channels_first ? rest - channel * pixels : rest / a.channels;
    const auto line = static_cast<std::int32_t>(pixel / a.new_width);
    const auto column = static_cast<std::int32_t>(pixel - std::int64_t{line} * a.new_width);
    const auto taps = read_taps<kBilinear>(a, transforms, image, column, line);
    const std::int64_t base =
        image * a.pixels() * a.channels + channel * a.channel_step(a.pixels());
    T sum = T(0);
    for (int k = 0; k < taps.kCount; ++k)
      sum += taps.weight[k] * (taps.at[k] < 0 ? static_cast<T>(a.fill_value)
                                              : T{x[base + taps.at[k] * a.pixel_step()]});
    y[i] = sum;
  }
}

template <bool kBilinear, class T>
__global__ void scatter(std::int64_t n, AffineCall a, Global<const T> transforms,
                        Global<const T> dy, Global<T> dx) {
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    const std::int64_t image = i / a.channels, channel = i - image * a.channels;
    const std::int64_t to = image * a.pixels() * a.channels + channel * a.channel_step(a.pixels());
    std::int64_t from =
        image * a.new_pixels() * a.channels + channel * a.channel_step(a.new_pixels());
    for (std::int64_t p = 0; p < a.pixels(); ++p) dx[to + p * a.pixel_step()] = T(0);
    for (std::int32_t line = 0; line < a.new_height; ++line)
      for (std::int32_t column = 0; column < a.new_width; ++column, from += a.pixel_step()) {
        const auto taps = read_taps<kBilinear>(a, transforms, image, column, line);
        for (int k = 0; k < taps.kCount; ++k) {
          if (taps.at[k] < 0) continue;
          const std::int64_t at = to + taps.at[k] * a.pixel_step();
          dx[at] = dx[at] + taps.weight[k] * dy[from];
        }
      }
  }
}

template <bool kBilinear, class T>
void launch_sample(const DeviceCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  const std::int64_t n = element_count(y.shape);
  cuda::launch(call.stream, cuda::grid_for(n), sample<kBilinear, T>, n,
               affine::call_of(x.shape, y.shape, call.attrs), call.in[1].as<const T>(),
               x.as<const T>(), y.as<T>());
}

template <bool kBilinear, class T>
void launch_scatter(const DeviceCall& call) {
  const View &dy = call.in[0], &dx = call.out[0];
  const AffineCall a = affine::call_of(dx.shape, dy.shape, call.attrs);
  const std::int64_t n = a.images * a.channels;
  cuda::launch(call.stream, cuda::grid_for(n), scatter<kBilinear, T>, n, a,
               call.in[1].as<const T>(), dy.as<const T>(), dx.as<T>());
}

template <class T>
void sample_any(const DeviceCall& call) {
  affine::bilinear(call.attrs) ? launch_sample<true, T>(call) : launch_sample<false, T>(call);
}
template <class T>
void scatter_any(const DeviceCall& call) {
  affine::bilinear(call.attrs) ? launch_scatter<true, T>(call) : launch_scatter<false, T>(call);
}

template <void (*kF32)(const DeviceCall&), void (*kF64)(const DeviceCall&)>
void by_dtype(const DeviceCall& call) {
  (call.out[0].dtype == DType::kFloat64 ? kF64 : kF32)(call);
}

constexpr DeviceOp kOps[] = {
    {.name = "affine_transform", .eval = &by_dtype<sample_any<float>, sample_any<double>>},
    {.name = "affine_transform_grad", .eval = &by_dtype<scatter_any<float>, scatter_any<double>>},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> affine_transform() { return kOps; }

}  // namespace densa::cuda_ops
