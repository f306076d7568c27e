// Compiled once per CPU level. Lanes are consecutive numbers of a row of the output: with channels
// last these are all channels of a pixel, then those of the next one. Every level computes what
// taps_of (formula.h) says, operation by operation, so results have the same bits everywhere.
#include "ops/affine_transform/sample.h"
#include "simd/lanes.h"

namespace densa::inline DENSA_ISA {
namespace {

// Places along one side of n pixels. A place in [first, last] that lies outside, below 0 or from n
// on, is (place ^ flip) + below or + above inside; one beyond those is taken for the nearest.
struct Side {
  std::int32_t n, first, last, flip, below, above;
};

Side side_of(std::int32_t n, Fill fill) {
  if (fill == Fill::kWrap) return {n, -n, 2 * n - 1, 0, n, -n};
  if (fill == Fill::kReflect) return {n, -n, 2 * n - 1, -1, 0, 2 * n};
  return {n, -1, n, -1, 0, 2 * n};
}

template <class I>
struct Place {
  I at;      // inside
  I beyond;  // a mask: it was not
};

template <class I>
DENSA_ALWAYS_INLINE Place<I> placed(const Side& side, I i) {
  const I n = lane<I>(side.n), zero = I{};
  i = select(i < side.first, lane<I>(side.first), i);
  i = select(i > side.last, lane<I>(side.last), i);
  const I low = i < zero, high = i >= n;
  const I beyond = low | high;
  return {(i ^ (beyond & side.flip)) + ((low & side.below) | (high & side.above)), beyond};
}

// floor_of and limited (formula.h), for vectors.
template <class V>
DENSA_ALWAYS_INLINE IntOf<V> floor_lanes(V x) {
  const IntOf<V> i = convert<IntOf<V>>(x);
  return i + (convert<V>(i) > x);
}
template <class V>
DENSA_ALWAYS_INLINE V limited_lanes(V x) {
  const V far = lane<V>(Element<V>(1 << 29));
  return max_fast(min_fast(x, far), -far);
}

// Some numbers of a row, where an image is moved and stretched along its sides alone: all rows read
// the same columns.
template <class T>
struct Columns {
  static constexpr std::int32_t kMost = 256;
  static constexpr std::int32_t kVectors = kMost / static_cast<std::int32_t>(kLanes<T>);
  std::int32_t count = 0;
  alignas(64) IntOf<Vec<T>> at[2][kVectors];  // the left and the right tap in a row; below 0: blank
  alignas(64) Vec<T> right[kVectors];         // the weight of the right one
  bool run[2][kVectors];                      // the taps of a vector lie side by side
};

// Two rows of the input, read at the taps of Columns.
template <class T>
struct ReadRows {
  std::int32_t row[2] = {-2, -2};  // -1 is the row of "constant", -2 none
  alignas(64) Vec<T> value[2][2][Columns<T>::kVectors];
};

template <class T>
class Sampler {
 public:
  explicit Sampler(const AffineRows<T>& rows)
      : all_(rows),
        call_(rows.call),
        across_(side_of(rows.call.width, rows.call.fill)),
        down_(side_of(rows.call.height, rows.call.fill)),
        step_(rows.call.pixel_step()),
        planes_(rows.call.channels_first ? rows.call.channels : 1),
        first_(step_),
        narrow_(countable(rows.call)) {}

  template <bool kBilinear>
  void run() const {
    for (std::int64_t row = all_.begin; row < all_.end;) {
      const std::int64_t image = row / call_.new_height;
      const std::int64_t next = (image + 1) * call_.new_height;
      const auto begin = static_cast<std::int32_t>(row - image * call_.new_height);
      const auto end =
          static_cast<std::int32_t>((next < all_.end ? next : all_.end) - image * call_.new_height);
      const T* m = all_.transforms + 6 * image;
      const T* from = all_.x + image * call_.pixels() * call_.channels;
      T* to = all_.y + image * call_.new_pixels() * call_.channels;
      if (narrow_ && m[1] == 0 && m[3] == 0 && near_across(line_of(m, begin))) {
        sample_along<kBilinear>(m, begin, end, from, to);
      } else {
        // Taps are made for each channel of a pixel; for many of them that is too often.
        const bool few = narrow_ && 2 * step_ <= kWide;
        for (std::int32_t y = begin; y < end; ++y) {
          const AffineLine<T> line = line_of(m, y);
          if (few && near_across(line) && near_down(line)) {
            sample_line<kBilinear>(line, from, to + std::int64_t{y} * call_.new_width * step_);
          } else {
            all_.plain(all_, row - begin + y);
          }
        }
      }
      row = image * call_.new_height + end;
    }
  }

 private:
  using V = Vec<T>;
  using I = IntOf<V>;
  using Index = Element<I>;
  static constexpr std::int64_t kWide = static_cast<std::int64_t>(kLanes<T>);

  // Lanes count the numbers of an image, and a float the places along its sides, without rounding.
  static bool countable(const AffineCall& call) {
    constexpr std::int64_t kLane = (std::int64_t{1} << 31) - 64;
    constexpr std::int32_t kSide = 1 << 22;
    const std::int64_t step = call.pixel_step();
    return call.width < kSide && call.height < kSide && call.pixels() * step < kLane &&
           call.new_width * step < kLane;
  }

  // Places move one way along a row, so its ends say how far all of them lie outside.
  bool near_across(const AffineLine<T>& line) const {
    return near(across_, line.across, line.column);
  }
  bool near_down(const AffineLine<T>& line) const { return near(down_, line.down, line.row); }
  bool near(const Side& side, T slope, T start) const {
    if (call_.fill == Fill::kConstant || call_.fill == Fill::kNearest) return true;
    const T first = slope * T(0) + start, last = slope * T(call_.new_width - 1) + start;
    const T low = T(side.first), high = T(side.last);
    return first >= low && first < high && last >= low && last < high;
  }

  // Which pixel of a row, and which of its numbers, each lane of a vector is; and of the next one.
  struct Lanes {
    I column, channel;
    Index step, columns, channels;

    explicit Lanes(std::int64_t step_of)
        : column(),
          channel(),
          step(static_cast<Index>(step_of)),
          columns(static_cast<Index>(kWide / step_of)),
          channels(static_cast<Index>(kWide % step_of)) {
      Index at[2][kLanes<T>];
      Index c = 0, k = 0;
#pragma GCC unroll 1
      for (std::int64_t l = 0; l < kWide; ++l) {
        at[0][l] = c, at[1][l] = k;
        if (++k == step) ++c, k = 0;
      }
      column = load(at[0]), channel = load(at[1]);
    }
    DENSA_ALWAYS_INLINE void next() {
      channel = channel + channels;
      column = column + columns;
      const I carry = channel >= step;
      channel = channel - (carry & step);
      column = column - carry;
    }
  };

  static DENSA_ALWAYS_INLINE void put(T* to, V v, std::int64_t n) {
    if (n >= kWide) {
      store(to, v);
    } else {
      store_part(to, v, static_cast<std::size_t>(n));
    }
  }

  // ---- along the sides ----

  template <bool kBilinear>
  void sample_along(const T* m, std::int32_t begin, std::int32_t end, const T* from, T* to) const {
    const std::int64_t count = call_.new_width * step_;
    Columns<T> columns;
    Lanes lanes = first_;
    for (std::int64_t first = 0; first < count; first += Columns<T>::kMost) {
      const std::int64_t left = count - first;
      columns.count =
          static_cast<std::int32_t>(left < Columns<T>::kMost ? left : Columns<T>::kMost);
      find<kBilinear>(line_of(m, begin), lanes, columns);
      for (std::int64_t p = 0; p < planes_; ++p) {
        const T* source = from + p * call_.pixels();
        T* made = to + p * call_.new_pixels() + first;
        if constexpr (kBilinear) {
          blend(m, begin, end, columns, source, made);
        } else {
          copy(m, begin, end, columns, source, made);
        }
      }
    }
  }

  template <bool kBilinear>
  void find(const AffineLine<T>& line, Lanes& lanes, Columns<T>& columns) const {
    const I lane_number = Lanes(1).column;
    const auto step = static_cast<Index>(step_);
    for (std::int64_t i = 0, v = 0; i < columns.count; i += kWide, ++v, lanes.next()) {
      const V sx = limited_lanes(line.across * convert<V>(lanes.column) + line.column);
      const I column = floor_lanes(kBilinear ? sx : sx + T(0.5));
      columns.right[v] = sx - convert<V>(column);
      const I beyond_end = lane_number >= static_cast<Index>(columns.count - i);
      for (int tap = 0; tap < (kBilinear ? 2 : 1); ++tap) {
        const Place<I> place = placed(across_, column + tap);
        I at = place.at * step + lanes.channel;
        if (call_.fill == Fill::kConstant) at = at | place.beyond;
        columns.at[tap][v] = at;
        const I in_line = beyond_end | (at == at[0] + lane_number);
        columns.run[tap][v] = at[0] >= 0 && max(in_line) != 0;
      }
    }
  }

  // Vector v of a row, which begins at `source`: n of its numbers count.
  DENSA_ALWAYS_INLINE V read(const Columns<T>& columns, int tap, std::int64_t v,
                             const T* source) const {
    const I at = columns.at[tap][v];
    const std::int64_t n = columns.count - v * kWide;
    if (columns.run[tap][v]) {
      const T* p = source + at[0];
      return n >= kWide ? load(p) : load_part(p, static_cast<std::size_t>(n));
    }
    const V value = gather(source, at & ~(at < 0));
    if (call_.fill != Fill::kConstant) return value;
    return select(at < 0, broadcast(static_cast<T>(call_.fill_value)), value);
  }

  void copy(const T* m, std::int32_t begin, std::int32_t end, const Columns<T>& columns,
            const T* from, T* to) const {
    for (std::int32_t y = begin; y < end; ++y) {
      const AffineLine<T> line = line_of(m, y);
      const T sy = limited(line.down * T(0) + line.row);
      const std::int32_t row = inside(floor_of(sy + T(0.5)), call_.height, call_.fill);
      T* made = to + std::int64_t{y} * call_.new_width * step_;
      for (std::int64_t i = 0, v = 0; i < columns.count; i += kWide, ++v) {
        const V value = row < 0 ? broadcast(static_cast<T>(call_.fill_value))
                                : read(columns, 0, v, from + row * call_.width * step_);
        put(made + i, value + T(0), columns.count - i);
      }
    }
  }

  // The place of a row in `rows`, read if it is not there; the row in place `kept` stays.
  int get(std::int32_t row, int kept, const Columns<T>& columns, const T* from,
          ReadRows<T>& rows) const {
    for (int k = 0; k < 2; ++k)
      if (rows.row[k] == row) return k;
    const int place = 1 - kept;
    rows.row[place] = row;
    for (int tap = 0; tap < 2; ++tap)
      for (std::int64_t i = 0, v = 0; i < columns.count; i += kWide, ++v)
        rows.value[place][tap][v] = row < 0
                                        ? broadcast(static_cast<T>(call_.fill_value))
                                        : read(columns, tap, v, from + row * call_.width * step_);
    return place;
  }

  void blend(const T* m, std::int32_t begin, std::int32_t end, const Columns<T>& columns,
             const T* from, T* to) const {
    ReadRows<T> rows;
    for (std::int32_t y = begin; y < end; ++y) {
      const AffineLine<T> line = line_of(m, y);
      const T sy = limited(line.down * T(0) + line.row);
      const std::int32_t row = floor_of(sy);
      const T low = sy - T(row), high = T(1) - low;
      const std::int32_t upper = inside(row, call_.height, call_.fill);
      const std::int32_t lower = inside(row + 1, call_.height, call_.fill);
      const int a = get(upper, rows.row[0] == lower ? 0 : 1, columns, from, rows);
      const int b = get(lower, a, columns, from, rows);
      T* made = to + std::int64_t{y} * call_.new_width * step_;
      for (std::int64_t i = 0, v = 0; i < columns.count; i += kWide, ++v) {
        const V right = columns.right[v], left = T(1) - right;
        V sum = high * left * rows.value[a][0][v] + T(0);
        sum = sum + high * right * rows.value[a][1][v];
        sum = sum + low * left * rows.value[b][0][v];
        sum = sum + low * right * rows.value[b][1][v];
        put(made + i, sum, columns.count - i);
      }
    }
  }

  // ---- any map ----

  template <bool kBilinear>
  void sample_line(const AffineLine<T>& line, const T* from, T* to) const {
    const std::int64_t count = call_.new_width * step_;
    const auto step = static_cast<Index>(step_), width = static_cast<Index>(call_.width * step_);
    const bool constant = call_.fill == Fill::kConstant;
    const V outside = broadcast(static_cast<T>(call_.fill_value));
    Lanes lanes = first_;
    for (std::int64_t i = 0; i < count; i += kWide, lanes.next()) {
      const V x = convert<V>(lanes.column);
      const V sx = limited_lanes(line.across * x + line.column);
      const V sy = limited_lanes(line.down * x + line.row);
      constexpr int kTaps = kBilinear ? 4 : 1;
      I at[kTaps], blank[kTaps];
      V weight[kTaps];
      if constexpr (kBilinear) {
        const I c = floor_lanes(sx), r = floor_lanes(sy);
        const V right = sx - convert<V>(c), low = sy - convert<V>(r);
        const V left = T(1) - right, high = T(1) - low;
        weight[0] = high * left, weight[1] = high * right;
        weight[2] = low * left, weight[3] = low * right;
        const Place<I> cs[2] = {placed(across_, c), placed(across_, c + 1)};
        const Place<I> rs[2] = {placed(down_, r), placed(down_, r + 1)};
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
          at[k] = rs[k / 2].at * width + cs[k % 2].at * step + lanes.channel;
          blank[k] = rs[k / 2].beyond | cs[k % 2].beyond;
        }
      } else {
        const Place<I> c = placed(across_, floor_lanes(sx + T(0.5)));
        const Place<I> r = placed(down_, floor_lanes(sy + T(0.5)));
        at[0] = r.at * width + c.at * step + lanes.channel;
        blank[0] = r.beyond | c.beyond;
      }
      for (std::int64_t p = 0; p < planes_; ++p) {
        V sum{};
#pragma GCC unroll 4
        for (int k = 0; k < kTaps; ++k) {
          V value = gather(from + p * call_.pixels(), at[k]);
          if (constant) value = select(blank[k], outside, value);
          if constexpr (kBilinear) value = weight[k] * value;
          sum = sum + value;
        }
        put(to + p * call_.new_pixels() + i, sum, count - i);
      }
    }
  }

  const AffineRows<T>& all_;
  const AffineCall& call_;
  Side across_, down_;
  std::int64_t step_, planes_;
  Lanes first_;
  bool narrow_;
};

template <class T>
void sample_rows(const AffineRows<T>& rows) {
  const Sampler<T> sampler(rows);
  rows.bilinear ? sampler.template run<true>() : sampler.template run<false>();
}

}  // namespace

extern const AffineKernels affine_kernels;
constinit const AffineKernels affine_kernels = {&sample_rows<float>, &sample_rows<double>};

}  // namespace densa::inline DENSA_ISA
