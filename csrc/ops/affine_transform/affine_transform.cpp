// affine_transform(images, transform (n, 6)): every image moved, turned, scaled or cut by a map of
// its own (formula.h), and its gradient in the images. The transform has none: it is drawn.
#include "ops/affine_transform/affine_transform.h"

#include <algorithm>

#include "base/threads.h"
#include "ops/affine_transform/sample.h"
#include "ops/check.h"
#include "ops/walk.h"
#include "simd/pick.h"

namespace densa {

DENSA_PICK(AffineKernels, affine_kernels)

namespace {

constexpr std::int64_t kMost = 1 << 28;  // of a side

// The shape of images with the height and width that the attributes say.
Dims resized(const Dims& images, const Attrs& attrs) {
  const int first = affine::channels_first(attrs) ? 2 : 1;
  Dims out = images;
  out[first] = attrs.get_int("height", images[first]);
  out[first + 1] = attrs.get_int("width", images[first + 1]);
  for (const Dims& shape : {images, out})
    for (int k = first; k < first + 2; ++k)
      if (shape[k] < 1 || shape[k] > kMost)
        throw ShapeError(cat("affine_transform: images need a known height and width of at least ",
                             "1 but have shape ", to_string(shape)));
  return out;
}

std::vector<TypeInfo> infer_images(std::span<const TypeInfo> in, const Attrs& attrs) {
  check_inputs(in, 2, "affine_transform");
  check_floating(in[0], "affine_transform");
  check_same_dtype(in[0], in[1], "affine_transform");
  const Dims &x = in[0].shape, &m = in[1].shape;
  if (x.rank() != 4)
    throw ShapeError(
        cat("affine_transform: images must have four axes but have shape ", to_string(x)));
  if (m.rank() != 2 || m[0] != x[0] || m[1] != 6)
    throw ShapeError(cat("affine_transform: images ", to_string(x),
                         " need a transform of six numbers each but it has shape ", to_string(m)));
  affine::fill_of(attrs);
  affine::bilinear(attrs);
  attrs.get_double("fill_value", 0);
  return {{in[0].dtype, resized(x, attrs)}};
}

std::vector<Value> grad(const GradCall& call) {
  std::vector<Value> out(2);
  if (call.dy[0] == nullptr || !call.needs[0]) return out;
  const Dims& x = call.in[0]->type.shape;
  const int first = affine::channels_first(call.attrs) ? 2 : 1;
  Attrs attrs = call.attrs;
  attrs.set("height", x[first]);
  attrs.set("width", x[first + 1]);
  const Value in[] = {call.dy[0], call.in[1]};
  out[0] = call.build.apply_all("affine_transform_grad", in, attrs)[0];
  return out;
}

// The gradient is linear in dy, and its own gradient reads where it wrote.
std::vector<Value> grad_grad(const GradCall& call) {
  std::vector<Value> out(2);
  if (call.dy[0] == nullptr || !call.needs[0]) return out;
  const Dims& dy = call.in[0]->type.shape;
  const int first = affine::channels_first(call.attrs) ? 2 : 1;
  Attrs attrs = call.attrs;
  attrs.set("height", dy[first]);
  attrs.set("width", dy[first + 1]);
  attrs.set("fill_value", 0.0);
  const Value in[] = {call.dy[0], call.in[1]};
  out[0] = call.build.apply_all("affine_transform", in, attrs)[0];
  return out;
}

void sample_rows(const AffineRows<float>& rows) { pick_affine_kernels()->f32(rows); }
void sample_rows(const AffineRows<double>& rows) { pick_affine_kernels()->f64(rows); }

// Row `row` of the output, all images' rows counted through, as taps_of says.
template <bool kBilinear, class T>
void sample_row(const AffineRows<T>& rows, std::int64_t row) {
  const AffineCall& a = rows.call;
  const std::int64_t from = a.channel_step(a.pixels()), to = a.channel_step(a.new_pixels());
  const std::int64_t step = a.pixel_step(), image = row / a.new_height;
  const T outside = static_cast<T>(a.fill_value);
  const auto line = static_cast<std::int32_t>(row - image * a.new_height);
  const AffineLine<T> places = line_of(rows.transforms + 6 * image, line);
  const T* source = rows.x + image * a.pixels() * a.channels;
  T* made = rows.y + image * a.new_pixels() * a.channels + std::int64_t{line} * a.new_width * step;
  for (std::int32_t column = 0; column < a.new_width; ++column, made += step) {
    const auto taps = taps_of<kBilinear>(a, places, column);
    for (std::int64_t c = 0; c < a.channels; ++c) {
      T sum = T(0);
      for (int k = 0; k < taps.kCount; ++k)
        sum += taps.weight[k] * (taps.at[k] < 0 ? outside : source[taps.at[k] * step + c * from]);
      made[c * to] = sum;
    }
  }
}

template <class T>
void sample(const EvalCall& call) {
  if (element_count(call.out[0].shape) == 0) return;
  AffineRows<T> all;
  all.call = affine::call_of(call.in[0].shape, call.out[0].shape, call.attrs);
  all.bilinear = affine::bilinear(call.attrs);
  all.x = call.in[0].as<const T>();
  all.transforms = call.in[1].as<const T>();
  all.y = call.out[0].as<T>();
  all.plain = all.bilinear ? &sample_row<true, T> : &sample_row<false, T>;
  const std::int64_t grain = 1 + kParallelGrain / (4 * all.call.new_width * all.call.channels + 1);
  parallel_for(all.call.images * all.call.new_height, grain,
               [&](std::int64_t begin, std::int64_t end) {
                 AffineRows<T> part = all;
                 part.begin = begin, part.end = end;
                 sample_rows(part);
               });
}

template <bool kBilinear, class T>
void scatter(const EvalCall& call) {
  const View &dy = call.in[0], &dx = call.out[0];
  const AffineCall a = affine::call_of(dx.shape, dy.shape, call.attrs);
  const std::int64_t to = a.channel_step(a.pixels()), from = a.channel_step(a.new_pixels());
  const std::int64_t step = a.pixel_step();
  const auto one_image = [&](std::int64_t image) {
    const T* m = call.in[1].as<const T>() + 6 * image;
    const T* given = dy.as<const T>() + image * a.new_pixels() * a.channels;
    T* sums = dx.as<T>() + image * a.pixels() * a.channels;
    std::fill(sums, sums + a.pixels() * a.channels, T(0));
    for (std::int32_t line = 0; line < a.new_height; ++line) {
      const AffineLine<T> places = line_of(m, line);
      for (std::int32_t column = 0; column < a.new_width; ++column, given += step) {
        const auto taps = taps_of<kBilinear>(a, places, column);
        for (int k = 0; k < taps.kCount; ++k)
          for (std::int64_t c = 0; taps.at[k] >= 0 && c < a.channels; ++c)
            sums[taps.at[k] * step + c * to] += taps.weight[k] * given[c * from];
      }
    }
  };
  parallel_for(a.images, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t image = begin; image < end; ++image) one_image(image);
  });
}

template <class T>
void scatter_any(const EvalCall& call) {
  affine::bilinear(call.attrs) ? scatter<true, T>(call) : scatter<false, T>(call);
}

template <void (*kF32)(const EvalCall&), void (*kF64)(const EvalCall&)>
void by_dtype(const EvalCall& call) {
  (call.out[0].dtype == DType::kFloat64 ? kF64 : kF32)(call);
}

constexpr Op kOps[] = {
    {"affine_transform", &infer_images, &grad, &by_dtype<sample<float>, sample<double>>},
    {"affine_transform_grad", &infer_images, &grad_grad,
     &by_dtype<scatter_any<float>, scatter_any<double>>},
};

}  // namespace

namespace ops {
std::span<const Op> affine_transform();
std::span<const Op> affine_transform() { return kOps; }
}  // namespace ops

}  // namespace densa
