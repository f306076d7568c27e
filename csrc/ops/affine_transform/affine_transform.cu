// affine_transform on a GPU: one thread per number of the output; of the gradient, one per channel
// of an image, so that its sums have one order.
#include "ops/affine_transform/affine_transform.h"

#include "cuda/kernel.h"
#include "cuda/launch.h"
#include "ops/backend.h"

namespace densa::inline DENSA_ISA {
namespace {

// Where an output pixel reads. Both interpolations are one code here, which keeps the module small:
// "nearest" is the first of four taps, whose weight is 1.
template <class T>
struct Source {
  std::int32_t column, row;
  T right, low;  // shares of the next column and row

  __device__ Source(const AffineCall& a, bool bilinear, Global<const T> transforms,
                    std::int64_t image, std::int32_t x, std::int32_t y) {
    T m[6];
    for (int k = 0; k < 6; ++k) m[k] = transforms[6 * image + k];
    const AffineLine<T> line = line_of(m, y);
    const T sx = limited(line.across * T(x) + line.column);
    const T sy = limited(line.down * T(x) + line.row);
    const T half = bilinear ? T(0) : T(0.5);
    column = floor_of(sx + half), row = floor_of(sy + half);
    right = bilinear ? sx - T(column) : T(0), low = bilinear ? sy - T(row) : T(0);
  }
  __device__ T weight(int k) const {
    return (k / 2 != 0 ? low : T(1) - low) * (k % 2 != 0 ? right : T(1) - right);
  }
  // -1 where the number of "constant" stands.
  __device__ std::int64_t at(const AffineCall& a, int k) const {
    const std::int32_t r = inside(row + k / 2, a.height, a.fill);
    const std::int32_t c = inside(column + k % 2, a.width, a.fill);
    return r < 0 || c < 0 ? -1 : std::int64_t{r} * a.width + c;
  }
};

template <class T>
__global__ void sample(std::int64_t n, AffineCall a, bool bilinear, Global<const T> transforms,
                       Global<const T> x, Global<T> y) {
  const std::int64_t pixels = a.new_pixels(), size = pixels * a.channels;
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    const std::int64_t image = i / size, rest = i - image * size;
    const std::int64_t channel = a.channels_first ? rest / pixels : rest % a.channels;
    const std::int64_t pixel = a.channels_first ? rest - channel * pixels : rest / a.channels;
    const auto line = static_cast<std::int32_t>(pixel / a.new_width);
    const auto column = static_cast<std::int32_t>(pixel - std::int64_t{line} * a.new_width);
    const Source<T> source(a, bilinear, transforms, image, column, line);
    const std::int64_t base =
        image * a.pixels() * a.channels + channel * a.channel_step(a.pixels());
    T sum = T(0);
    DENSA_ROLLED
    for (int k = 0; k < (bilinear ? 4 : 1); ++k) {
      const std::int64_t at = source.at(a, k);
      sum += source.weight(k) *
             (at < 0 ? static_cast<T>(a.fill_value) : T{x[base + at * a.pixel_step()]});
    }
    y[i] = sum;
  }
}

template <class T>
__global__ void scatter(std::int64_t n, AffineCall a, bool bilinear, Global<const T> transforms,
                        Global<const T> dy, Global<T> dx) {
  DENSA_ROLLED
  for (std::int64_t i = GridStride::begin(); i < n; i += GridStride::step()) {
    const std::int64_t image = i / a.channels, channel = i - image * a.channels;
    const std::int64_t to = image * a.pixels() * a.channels + channel * a.channel_step(a.pixels());
    std::int64_t from =
        image * a.new_pixels() * a.channels + channel * a.channel_step(a.new_pixels());
    DENSA_ROLLED
    for (std::int64_t p = 0; p < a.pixels(); ++p) dx[to + p * a.pixel_step()] = T(0);
    DENSA_ROLLED
    for (std::int32_t line = 0; line < a.new_height; ++line) {
      DENSA_ROLLED
      for (std::int32_t column = 0; column < a.new_width; ++column, from += a.pixel_step()) {
        const Source<T> source(a, bilinear, transforms, image, column, line);
        DENSA_ROLLED
        for (int k = 0; k < (bilinear ? 4 : 1); ++k) {
          const std::int64_t tap = source.at(a, k);
          if (tap < 0) continue;
          const std::int64_t at = to + tap * a.pixel_step();
          dx[at] = dx[at] + source.weight(k) * dy[from];
        }
      }
    }
  }
}

template <class T>
void launch_sample(const DeviceCall& call) {
  const View &x = call.in[0], &y = call.out[0];
  const std::int64_t n = element_count(y.shape);
  cuda::launch(call.stream, cuda::grid_for(n), sample<T>, n,
               affine::call_of(x.shape, y.shape, call.attrs), affine::bilinear(call.attrs),
               call.in[1].as<const T>(), x.as<const T>(), y.as<T>());
}

template <class T>
void launch_scatter(const DeviceCall& call) {
  const View &dy = call.in[0], &dx = call.out[0];
  const AffineCall a = affine::call_of(dx.shape, dy.shape, call.attrs);
  const std::int64_t n = a.images * a.channels;
  cuda::launch(call.stream, cuda::grid_for(n), scatter<T>, n, a, affine::bilinear(call.attrs),
               call.in[1].as<const T>(), dy.as<const T>(), dx.as<T>());
}

template <void (*kF32)(const DeviceCall&), void (*kF64)(const DeviceCall&)>
void by_dtype(const DeviceCall& call) {
  (call.out[0].dtype == DType::kFloat64 ? kF64 : kF32)(call);
}

constexpr DeviceOp kOps[] = {
    {.name = "affine_transform", .eval = &by_dtype<launch_sample<float>, launch_sample<double>>},
    {.name = "affine_transform_grad",
     .eval = &by_dtype<launch_scatter<float>, launch_scatter<double>>},
};

}  // namespace
}  // namespace densa::inline DENSA_ISA

namespace densa::cuda_ops {

std::span<const DeviceOp> affine_transform() { return kOps; }

}  // namespace densa::cuda_ops
