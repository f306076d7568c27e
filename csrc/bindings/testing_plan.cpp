// densa._core.testing: the gather and the products of a plan, one at a time, for tests and timing.
#include <algorithm>

#include "base/pack.h"
#include "base/threads.h"
#include "bindings/python.h"
#include "ops/dense/dense.h"
#include "ops/feed/feed.h"

namespace densa::bindings {
namespace {

using Matrix = py::array_t<float, py::array::c_style | py::array::forcecast>;

std::shared_ptr<Storage> floats(std::int64_t count) {
  return Storage::zeros(static_cast<std::size_t>(count) * sizeof(float));
}
float* floats_of(const std::shared_ptr<Storage>& storage) {
  return static_cast<float*>(storage->data());
}

// ---- gather -----------------------------------------------------------------------------------

// A batch of panels that rows of the caller's array are gathered into.
class Gather {
 public:
  Gather(std::int64_t capacity, std::int64_t cols) : capacity_(capacity), cols_(cols) {
    if (capacity < 1 || cols < 1)
      throw ValueError(
          cat("Gather: got ", capacity, " rows of ", cols, " columns; both must be positive"));
    y_ = floats(panel_elements(capacity, cols));
  }

  void run(const py::array& x, const py::array_t<std::int64_t, py::array::c_style>& rows,
           double scale) {
    if (!x.dtype().is(py::dtype::of<std::uint8_t>()))
      throw TypeError(cat("Gather: x is ", std::string(py::str(x.dtype())), "; expected uint8"));
    if (x.ndim() != 2 || x.shape(1) != cols_ || x.strides(1) != 1)
      throw ValueError(cat("Gather: x must have ", cols_, " columns, side by side in memory"));
    if (rows.ndim() != 1 || rows.size() > capacity_)
      throw ValueError(cat("Gather: there is room for ", capacity_, " row numbers in one axis"));
    const std::int64_t *order = rows.data(), count = rows.size();
    for (std::int64_t i = 0; i < count; ++i)
      if (order[i] < 0 || order[i] >= x.shape(0))
        throw ValueError(cat("Gather: row ", order[i], ", but x has ", x.shape(0), " rows"));
    Feed feed{.data = x.data(),
              .row_bytes = x.strides(0),
              .order = order,
              .cols = cols_,
              .y = y_->data(),
              .stride = capacity_ * kPanel,
              .panels = true,
              .affine = scale != 1,
              .scale = scale};
    const FeedFn gather = feed_kernels().to_f32[static_cast<int>(DType::kUInt8)];
    constexpr std::int64_t kGrain = std::int64_t{1} << 14;  // numbers: some 2 us
    parallel_for(panel_count(count), 1 + kGrain / (cols_ * kPanel),
                 [&](std::int64_t begin, std::int64_t end) {
                   Feed part = feed;
                   part.row_begin = begin * kPanel;
                   part.row_end = std::min(end * kPanel, count);
                   gather(part);
                 });
  }

  py::array_t<float> panels() const {
    py::array_t<float> out(std::vector<py::ssize_t>{panel_count(cols_), capacity_, kPanel});
    std::copy_n(floats_of(y_), out.size(), out.mutable_data());
    return out;
  }

 private:
  std::int64_t capacity_, cols_;
  std::shared_ptr<Storage> y_;
};

// ---- products ---------------------------------------------------------------------------------

// A matrix in panels, with room for `rows` rows.
struct Panelled {
  std::int64_t rows, cols;
  std::shared_ptr<Storage> storage = floats(panel_elements(rows, cols));

  Panels<float> panels() const { return {floats_of(storage), rows * kPanel}; }
  Panels<const float> read() const { return {floats_of(storage), rows * kPanel}; }
  std::int64_t count() const { return panel_count(cols); }
};

struct Part {
  std::int64_t first_panel, last_panel, row_begin, row_end;
};

// Calls body for this thread's share of a matrix, as a plan cuts its stages (graph/placement.h,
// graph/plan.cpp): whole panels, `group` at a time; where that leaves a thread idle for more than a
// fiftieth of the time, by blocks of 16 rows as well.
template <class F>
void for_parts(const Panelled& y, std::int64_t group, const Team& team, int thread, F&& body) {
  const std::int64_t threads = team.size(), n = y.count();
  const std::int64_t most = (n + threads - 1) / threads * threads;
  const bool tiles = y.rows > 1 && 50 * (most - n) > most;
  const std::int64_t blocks = tiles ? panel_count(y.rows) : 1;
  const Range mine = share(n * blocks, thread, team.size());
  for (std::int64_t u = mine.begin, next = u; u < mine.end; u = next) {
    const std::int64_t panel = u / blocks, block = u % blocks, whole = (mine.end - u) / blocks;
    if (block != 0 || whole == 0) {
      next = std::min((panel + 1) * blocks, mine.end);
      body(Part{panel, panel + 1, block * kPanel, std::min((block + next - u) * kPanel, y.rows)});
    } else {
      const std::int64_t panels = whole <= group + 1 ? whole : group;
      next = u + panels * blocks;
      body(Part{panel, panel + panels, 0, y.rows});
    }
  }
}

// The three products of a dense layer on panels that stay packed between calls.
class Products {
 public:
  Products(const Matrix& x, const Matrix& w, const Matrix& dy) {
    if (x.ndim() != 2 || w.ndim() != 2 || dy.ndim() != 2 || x.shape(1) != w.shape(0) ||
        dy.shape(0) != x.shape(0) || dy.shape(1) != w.shape(1) || x.size() == 0 || w.size() == 0)
      throw ShapeError(
          "Products: expected x (rows, in), w (in, out) and dy (rows, out), none "
          "empty");
    const std::int64_t rows = x.shape(0), in = w.shape(0), out = w.shape(1);
    x_ = pack(x), w_ = pack(w), dy_ = pack(dy);
    turned_ = {out, rows};
    y_ = {rows, out}, dx_ = {rows, in}, dw_ = {in, out};
  }

  void forward() {
    run_team(thread_limit().threads, [&](Team& team, int thread) {
      for_parts(y_, forward_group(y_.rows), team, thread, [&](const Part& part) {
        dense_kernels<float>().forward({.x = x_.read(),
                                        .w = w_.read(),
                                        .y = y_.panels(),
                                        .in = x_.cols,
                                        .row_begin = part.row_begin,
                                        .row_end = part.row_end,
                                        .first_panel = part.first_panel,
                                        .last_panel = part.last_panel});
      });
    });
  }

  void dx() {
    run_team(thread_limit().threads, [&](Team& team, int thread) {
      const auto turned_from = [&](std::int64_t row) {
        const Panels<float> all = turned_.panels();
        return Panels<float>{all.panel(row / kPanel), all.stride};
      };
      for_parts(dy_, 2, team, thread, [&](const Part& part) {
        dense_kernels<float>().transpose(
            {.y = {dy_.read().data + part.row_begin * kPanel, dy_.read().stride},
             .yT = turned_from(part.row_begin),
             .rows = part.row_end - part.row_begin,
             .cols = dy_.cols,
             .first_panel = part.first_panel,
             .last_panel = part.last_panel});
      });
      team.wait();
      for_parts(dx_, 2, team, thread, [&](const Part& part) {
        const Panels<float> turned = turned_from(part.row_begin);
        dense_kernels<float>().dx(
            {.dyT = {turned.data, turned.stride},
             .w = w_.read(),
             .dx = {dx_.panels().data + part.row_begin * kPanel, dx_.panels().stride},
             .rows = part.row_end - part.row_begin,
             .in = dx_.cols,
             .out = dy_.cols,
             .first_panel = part.first_panel,
             .last_panel = part.last_panel});
      });
    });
  }

  void dw() {
    run_team(thread_limit().threads, [&](Team& team, int thread) {
      for_parts(dw_, 2, team, thread, [&](const Part& part) {
        const Panels<float> dw = dw_.panels();
        dense_kernels<float>().dw(
            {.x = x_.read(),
             .dy = dy_.read(),
             .dw = {dw.panel(part.first_panel) + part.row_begin * kPanel, dw.stride},
             .rows = dy_.rows,
             .out = dy_.cols,
             .k_begin = part.row_begin,
             .k_end = part.row_end,
             .first_panel = part.first_panel,
             .last_panel = part.last_panel});
      });
    });
  }

  py::array_t<float> result(const std::string& name) const {
    for (const auto& [known, matrix] : {std::pair{"forward", &y_}, {"dx", &dx_}, {"dw", &dw_}})
      if (name == known) return unpack(*matrix);
    throw ValueError(cat("Products: result '", name, "'; expected forward, dx or dw"));
  }

 private:
  static Panelled pack(const Matrix& from) {
    Panelled to{from.shape(0), from.shape(1)};
    pack_panels<float>(to.panels(), from.data(), to.rows, to.cols, to.cols);
    return to;
  }
  static py::array_t<float> unpack(const Panelled& from) {
    py::array_t<float> to(std::vector<py::ssize_t>{from.rows, from.cols});
    unpack_panels<float>(to.mutable_data(), from.read(), from.rows, from.cols, from.cols);
    return to;
  }

  Panelled x_{1, 1}, w_{1, 1}, dy_{1, 1}, turned_{1, 1}, y_{1, 1}, dx_{1, 1}, dw_{1, 1};
};

}  // namespace

void bind_testing_plan(py::module_& testing) {
  py::class_<Gather>(testing, "Gather", "Rows of a uint8 array to panels of float32.")
      .def(py::init<std::int64_t, std::int64_t>(), py::arg("capacity"), py::arg("cols"))
      .def("__call__", &Gather::run, py::arg("x"), py::arg("rows"), py::arg("scale") = 1.0)
      .def_property_readonly("panels", &Gather::panels);
  using Free = py::call_guard<py::gil_scoped_release>;
  py::class_<Products>(testing, "Products", "A dense layer's products as a plan runs them.")
      .def(py::init<const Matrix&, const Matrix&, const Matrix&>(), py::arg("x"), py::arg("w"),
           py::arg("dy"))
      .def("forward", &Products::forward, Free())
      .def("dx", &Products::dx, Free())
      .def("dw", &Products::dw, Free())
      .def("result", &Products::result, py::arg("name"));
}

}  // namespace densa::bindings
