#include "predict/lower.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/arena.h"
#include "predict/steps_narrow.h"
#include "predict/steps_panels.h"
#include "predict/steps_rows.h"
#include "predict/steps_sparse.h"

namespace densa::predict {
namespace {

// A value may lie in memory row by row, in panels, or both.
enum Form { kFlat, kPanelled, kForms };

class Lowering {
 public:
  explicit Lowering(const Net& net)
      : net_(net), places_(net.values.size()), done_(net.nodes.size()) {
    uses_.resize(net.values.size());
    for (const NetNode& node : net.nodes)
      for (int id : node.in) ++uses_[id];
    for (const NetOutput& output : net.outputs) ++uses_[output.value];
  }

  Lowered run() {
    for (std::size_t v = 0; v < net_.values.size(); ++v) {
      const NetValue& value = net_.values[v];
      if (value.kind == NetValue::kInput) places_[v][kFlat] = input_place(value.input);
      if (value.kind == NetValue::kConstant) places_[v][kFlat].data = net_.arena + value.at;
      if (value.kind == NetValue::kConstant) places_[v][kFlat].kind = Place::kConstant;
    }
    for (std::size_t n = 0; n < net_.nodes.size(); ++n)
      if (!done_[n]) node(n);
    for (std::size_t k = 0; k < net_.outputs.size(); ++k) emit(static_cast<int>(k));
    return finish();
  }

 private:
  // ---- values ---------------------------------------------------------------------------------

  const TypeInfo& type(int id) const { return net_.values[id].type; }
  const NetValue& value(int id) const { return net_.values[id]; }
  bool constant(int id) const { return value(id).kind == NetValue::kConstant; }
  // A matrix of the batch in floats: what panels are for.
  bool matrix(int id) const { return rows_of_matrices(id) && type(id).shape.rank() == 2; }
  // The same with more axes before the last, which count as rows: what products read and make.
  bool rows_of_matrices(int id) const {
    return !constant(id) && type(id).shape.rank() >= 2 && is_floating(type(id).dtype) &&
           times(id) > 0;
  }
  // Rows of that matrix for each row of the batch.
  std::int64_t times(int id) const { return matrix_rows(type(id).shape); }
  std::int64_t cols(int id) const { return type(id).shape.back(); }
  std::int64_t panels(int id) const { return panel_count(cols(id)); }
  std::size_t row_bytes(int id) const {
    return byte_count(with_rows(type(id).shape, 1), item_size(type(id).dtype));
  }
  static Place input_place(int input) {
    Place place;
    place.kind = Place::kInput;
    place.index = input;
    return place;
  }

  // ---- buffers --------------------------------------------------------------------------------

  // A place of so many bytes a row; `at` is the buffer's number until finish() gives it an address.
  Place buffer(std::size_t bytes) {
    Place place;
    place.kind = Place::kScratch;
    place.at = buffers_.size();
    buffers_.push_back({bytes, now(), now()});
    return place;
  }
  int now() const { return static_cast<int>(steps_.size()); }
  Place make(int id, Form form) {
    const std::size_t item = item_size(type(id).dtype);
    const std::size_t bytes = form == kPanelled
                                  ? static_cast<std::size_t>(panels(id) * times(id)) * kPanel * item
                                  : row_bytes(id);
    return places_[id][form] = buffer(bytes);
  }
  // Over x where nobody else needs it and it has the same form and size.
  Place make_over(int id, int x) {
    if (x >= 0 && uses_[x] == 1 && places_[x][kPanelled].kind == Place::kScratch &&
        type(x) == type(id))
      return places_[id][kPanelled] = places_[x][kPanelled];
    return make(id, kPanelled);
  }
  Place read(const Place& place) {
    if (place.kind == Place::kScratch || place.kind == Place::kOneRow)
      buffers_[place.at].last = std::max(buffers_[place.at].last, now());
    return place;
  }

  // ---- forms ----------------------------------------------------------------------------------

  template <class F>
  void with_type(int id, F&& f) {
    if (type(id).dtype == DType::kFloat64) {
      f(double{});
    } else {
      f(float{});
    }
  }

  Place need(int id, Form form) {
    Place& place = places_[id][form];
    if (constant(id) && (form == kPanelled || value(id).packing != Packing::kRows))
      throw ValueError(cat("network: %", id, " does not lie in memory as its readers want it"));
    if (place.kind != Place::kNone) return read(place);
    if (value(id).kind == NetValue::kFeed && places_[id][kFlat].kind != Place::kInput) {
      if (form == kFlat || type(id).shape.rank() == 2) return feed(id, form);
      need(id, kFlat);
    }
    with_type(id, [&](auto zero) {
      using T = decltype(zero);
      const Form other = form == kFlat ? kPanelled : kFlat;
      const Place from = places_[id][other];
      if (form == kPanelled) {
        auto step = std::make_unique<PackStep<T>>();
        step->x = read(from);
        step->y = make(id, form);
        if (from.kind == Place::kInput && times(id) == 1 && only_products_read(id)) {
          step->y.kind = Place::kOneRow;
          step->y.index = from.index;
          places_[id][form] = step->y;
        }
        step->cols = cols(id);
        step->panels = panels(id);
        step->times = times(id);
        step->own = true;
        add(std::move(step), cat("pack %", id));
      } else {
        auto step = std::make_unique<UnpackStep<T>>();
        step->x = read(from);
        step->y = make(id, form);
        step->cols = cols(id);
        step->times = times(id);
        add(std::move(step), cat("unpack %", id));
      }
    });
    return read(places_[id][form]);
  }

  // Float products read the columns of x that there are; all others read whole panels, which an
  // input's memory need not have.
  bool only_products_read(int id) const {
    return cols(id) > 0 &&
           std::all_of(net_.nodes.begin(), net_.nodes.end(), [&](const NetNode& node) {
             for (std::size_t i = 0; i < node.in.size(); ++i) {
               if (node.in[i] != id) continue;
               const std::string_view name = node.op->name;
               if (i != 0 || (name != "dense" && name != "matmul") ||
                   value(node.in[1]).packing == Packing::kRows ||
                   is_narrow(value(node.in[1]).packing))
                 return false;
             }
             return true;
           });
  }

  Place feed(int id, Form form) {
    const NetValue& value = net_.values[id];
    const NetInput& input = net_.inputs[static_cast<std::size_t>(value.input)];
    const bool affine = value.scale != 1 || value.offset != 0;
    if (!affine && input.type.dtype == value.type.dtype) {
      places_[id][kFlat] = input_place(value.input);
      return need(id, form);
    }
    auto step = std::make_unique<FeedStep>();
    step->input = value.input;
    const FeedKernels& kernels = feed_kernels();
    step->convert =
        (value.type.dtype == DType::kFloat64 ? kernels.to_f64
                                             : kernels.to_f32)[static_cast<int>(input.type.dtype)];
    const auto numbers = element_count(with_rows(value.type.shape, 1));
    step->feed.cols = numbers;
    step->feed.row_bytes = numbers * static_cast<std::ptrdiff_t>(item_size(input.type.dtype));
    step->feed.panels = form == kPanelled;
    step->feed.affine = affine;
    step->feed.scale = value.scale;
    step->feed.offset = value.offset;
    step->y = make(id, form);
    add(std::move(step), cat("input ", input.name, " -> %", id));
    return read(places_[id][form]);
  }

  // A parameter as the kernels read it; its numbers are followed by zeros to a multiple of 16.
  template <class T>
  const T* numbers(int id) const {
    return reinterpret_cast<const T*>(net_.arena + value(id).at);
  }
  bool number(int id) const { return constant(id) && element_count(type(id).shape) == 1; }
  bool row_vector(int id, std::int64_t size) const {
    if (!constant(id) || element_count(type(id).shape) != size) return false;
    return type(id).shape.rank() >= 1 && type(id).shape.rank() <= 2 &&
           type(id).shape.back() == size;
  }

  // ---- nodes ----------------------------------------------------------------------------------

  void node(std::size_t n) {
    const NetNode& node = net_.nodes[n];
    if (alias(node)) return;
    bool taken = false;
    with_type(node.out[0], [&](auto zero) {
      using T = decltype(zero);
      const std::string_view name = node.op->name;
      if (!is_floating(type(node.out[0]).dtype) || node.out.size() != 1) return;
      if (name == "dense") {
        taken = dense<T>(n);
      } else if (name == "matmul" && node.in.size() == 2 &&
                 !node.attrs.get_bool("transpose_a", false) &&
                 !node.attrs.get_bool("transpose_b", false)) {
        taken = dense<T>(n);
      } else if (name == "softmax" || name == "log_softmax") {
        taken = softmax<T>(node);
      } else if (name == "batch_norm") {
        taken = batch_norm<T>(node);
      } else if (node.in.size() == 1) {
        if (const UnaryKernel* kernel = find_unary(node.op->name)) taken = unary<T>(node, kernel);
      } else if (node.in.size() == 2) {
        if (const BinaryKernel* kernel = find_binary(node.op->name))
          taken = binary<T>(node, kernel);
      }
    });
    if (!taken && !concatenate(node)) fallback(node);
  }

  bool alias(const NetNode& node) {
    if (!node.op->alias || constant(node.in[0])) return false;
    const Place from = need(node.in[0], kFlat);
    places_[node.out[0]][kFlat] = from;
    return true;
  }

  static Activation activation_of(const UnaryKernel* kernel, const Attrs& attrs) {
    return {kernel, kernel->attribute == nullptr
                        ? 0
                        : attrs.get_double(kernel->attribute, kernel->missing)};
  }

  // The elementwise op that alone reads the result of node n, as the net's next node that does.
  std::size_t activation_behind(std::size_t n) const {
    const int y = net_.nodes[n].out[0];
    if (uses_[y] != 1) return 0;
    for (std::size_t next = n + 1; next < net_.nodes.size(); ++next) {
      const NetNode& node = net_.nodes[next];
      if (node.in.size() == 1 && node.in[0] == y)
        return find_unary(node.op->name) != nullptr ? next : 0;
    }
    return 0;
  }

  // A product and its activation: calls fill(step) and gives it what all products have.
  template <class S, class F>
  void product(std::size_t n, const char* kind, const F& fill) {
    const NetNode& node = net_.nodes[n];
    const int x = node.in[0];
    int y = node.out[0];
    auto step = std::make_unique<S>();
    const std::string name = node.attrs.get_string("activation", "");
    if (!name.empty()) {
      step->activation = activation_of(find_unary(name.c_str()), node.attrs);
    } else if (const std::size_t next = activation_behind(n); next > 0) {
      const NetNode& behind = net_.nodes[next];
      step->activation = activation_of(find_unary(behind.op->name), behind.attrs);
      y = behind.out[0];
      done_[next] = true;
    }
    step->in = cols(x);
    step->flops = 2.0 * static_cast<double>(times(x) * cols(x)) * static_cast<double>(cols(y));
    fill(*step);
    step->y = make(y, kPanelled);
    step->panels = panels(y);
    step->times = times(x);
    add(std::move(step), cat(kind, " %", x, " (", cols(x), "x", cols(y), ") -> %", y,
                             y == node.out[0] && name.empty() ? "" : ", with its activation"));
  }

  template <class T>
  bool dense(std::size_t n) {
    const NetNode& node = net_.nodes[n];
    const int x = node.in[0], w = node.in[1];
    if (!rows_of_matrices(x) || !is_product(net_, node)) return false;
    const T* const b = node.in.size() > 2 ? numbers<T>(node.in[2]) : nullptr;
    if constexpr (sizeof(T) == sizeof(float)) {
      if (is_narrow(value(w).packing)) {
        const Place prepared = prepare(node);
        product<NarrowDenseStep>(
            n, value(w).packing == Packing::kInt8 ? "int8 dense" : "bfloat16 dense",
            [&](NarrowDenseStep& step) {
              step.x = read(prepared);
              step.form = narrow_form(value(w).packing);
              step.w = net_.arena + value(w).at;
              step.b = b;
              step.out = cols(w);
            });
        return true;
      }
    }
    const Place from = need(x, kPanelled);
    if constexpr (sizeof(T) == sizeof(float)) {
      if (value(w).packing == Packing::kSparse) {
        product<SparseDenseStep>(n, "sparse dense", [&](SparseDenseStep& step) {
          step.x = read(from);
          step.w = numbers<float>(w);
          step.blocks = sparse_index(net_.arena + value(w).at, value(w).blocks, cols(x), cols(w));
          step.b = b;
          step.flops = 2.0 * static_cast<double>(times(x) * kPanel * value(w).blocks);
        });
        return true;
      }
    }
    product<DenseStep<T>>(n, "dense", [&](DenseStep<T>& step) {
      step.x = read(from);
      step.w = numbers<T>(w);
      step.b = b;
    });
    return true;
  }

  // x as kernels of narrow weights want it; products that want the same share it.
  Place prepare(const NetNode& node) {
    const int x = node.in[0];
    const Narrow form = narrow_form(value(node.in[1]).packing);
    const std::tuple key(x, form, node.x_scale, node.x_zero);
    if (const auto found = prepared_.find(key); found != prepared_.end()) return found->second;
    auto step = std::make_unique<PrepareStep>();
    step->x = need(x, kPanelled);
    step->y = buffer(static_cast<std::size_t>(narrow_x_bytes(form, cols(x)) * times(x)));
    step->form = form;
    step->times = times(x);
    step->in = cols(x);
    step->scale = static_cast<float>(node.x_scale);
    step->zero = node.x_zero;
    const Place place = prepared_[key] = step->y;
    add(std::move(step), cat(form == Narrow::kInt8 ? "int8 %" : "bfloat16 %", x));
    return place;
  }

  template <class T>
  bool unary(const NetNode& node, const UnaryKernel* kernel) {
    const int x = node.in[0], y = node.out[0];
    // With more axes only where a product left panels.
    if (!rows_of_matrices(y) || (!matrix(y) && places_[x][kPanelled].kind == Place::kNone))
      return false;
    auto step = std::make_unique<UnaryStep<T>>();
    step->activation = activation_of(kernel, node.attrs);
    step->x = need(x, kPanelled);
    step->y = make_over(y, x);
    step->panels = panels(y);
    step->times = times(y);
    step->own = true;
    add(std::move(step), cat(kernel->name, " %", x, " -> %", y));
    return true;
  }

  template <class T>
  bool binary(const NetNode& node, const BinaryKernel* kernel) {
    const int y = node.out[0];
    if (!matrix(y)) return false;
    auto step = std::make_unique<BinaryStep<T>>();
    step->kernel = kernel;
    for (int id : node.in)
      if (!number(id) && !row_vector(id, cols(y)) && !(type(id) == type(y))) return false;
    int over = -1;
    for (int k = 0; k < 2; ++k) {
      const int id = node.in[k];
      auto& operand = k == 0 ? step->a : step->b;
      if (constant(id)) {
        operand.step = number(id) ? densa::Step::kScalar : densa::Step::kRow16;
        operand.place = places_[id][kFlat];
      } else {
        operand.place = need(id, kPanelled);
        over = id;
      }
    }
    step->y = make_over(y, node.in[0] == node.in[1] ? -1 : over);
    step->panels = panels(y);
    step->own = true;
    add(std::move(step), cat(kernel->name, " %", node.in[0], " %", node.in[1], " -> %", y));
    return true;
  }

  bool last_axis(const NetNode& node) const {
    const Ints axes = node.attrs.get_ints("axis", {-1});
    return axes.size() == 1 && (axes[0] == -1 || axes[0] == 1);
  }

  template <class T>
  bool softmax(const NetNode& node) {
    const int x = node.in[0], y = node.out[0];
    if (!matrix(x) || !last_axis(node)) return false;
    auto step = std::make_unique<SoftmaxStep<T>>();
    step->softmax = node.op->name == std::string_view("softmax") ? softmax_fns<T>().softmax
                                                                 : softmax_fns<T>().log_softmax;
    step->x = need(x, kPanelled);
    step->cols = cols(x);
    if (const int output = only_output(y); output >= 0) {
      step->y.kind = Place::kOutput;
      step->y.index = output;
      step->to_rows = true;
      emitted_.push_back(output);
    } else {
      step->y = make_over(y, x);
    }
    add(std::move(step), cat(node.op->name, " %", x, " -> %", y));
    return true;
  }

  // The output that alone wants a value; -1 if others do. Kernels may write over padding where a
  // row has 16 numbers, which an output's memory does not have.
  int only_output(int id) const {
    if (uses_[id] != 1) return -1;
    for (std::size_t k = 0; k < net_.outputs.size(); ++k)
      if (net_.outputs[k].value == id) return static_cast<int>(k);
    return -1;
  }

  template <class T>
  bool batch_norm(const NetNode& node) {
    const int x = node.in[0], y = node.out[0];
    if (!matrix(x) || !last_axis(node)) return false;
    for (std::size_t k = 1; k < node.in.size(); ++k)
      if (!constant(node.in[k])) return false;
    auto step = std::make_unique<BatchNormStep<T>>();
    step->x = need(x, kPanelled);
    step->gamma = numbers<T>(node.in[1]);
    step->beta = numbers<T>(node.in[2]);
    step->mean = numbers<T>(node.in[3]);
    step->variance = numbers<T>(node.in[4]);
    step->epsilon = static_cast<T>(node.attrs.get_double("epsilon", 1e-3));
    step->y = make_over(y, x);
    step->panels = panels(y);
    step->own = true;
    add(std::move(step), cat("batch norm %", x, " -> %", y));
    return true;
  }

  bool concatenate(const NetNode& node) {
    const int y = node.out[0], rank = type(y).shape.rank();
    if (node.op->name != std::string_view("concatenate") ||
        normalize_axis(node.attrs.get_int("axis", -1), rank, "concatenate") != rank - 1 ||
        rank != 2)
      return false;
    auto step = std::make_unique<ConcatenateStep>();
    for (int id : node.in) {
      if (constant(id)) return false;
      step->parts.push_back({need(id, kFlat), row_bytes(id)});
    }
    step->y = make(y, kFlat);
    step->row_bytes = row_bytes(y);
    add(std::move(step), cat("concatenate -> %", y));
    return true;
  }

  void fallback(const NetNode& node) {
    if (node.in.size() + node.out.size() > OpStep::kMost)
      throw ValueError(cat("network: ", node.op->name, " has ", node.in.size(), " inputs"));
    auto step = std::make_unique<OpStep>();
    step->op = node.op;
    step->attrs = node.attrs;
    for (int id : node.in) step->in.push_back({need(id, kFlat), type(id)});
    for (int id : node.out) step->out.push_back({make(id, kFlat), type(id)});
    add(std::move(step), cat(node.op->name, " -> %", node.out[0]));
  }

  // A result goes to the caller in the form that it has.
  void emit(int output) {
    if (std::find(emitted_.begin(), emitted_.end(), output) != emitted_.end()) return;
    const int id = net_.outputs[static_cast<std::size_t>(output)].value;
    Place to;
    to.kind = Place::kOutput;
    to.index = output;
    if (places_[id][kFlat].kind == Place::kNone && places_[id][kPanelled].kind != Place::kNone) {
      with_type(id, [&](auto zero) {
        auto step = std::make_unique<UnpackStep<decltype(zero)>>();
        step->x = read(places_[id][kPanelled]);
        step->y = to;
        step->cols = cols(id);
        step->times = times(id);
        add(std::move(step), cat("output ", net_.outputs[static_cast<std::size_t>(output)].name));
      });
      return;
    }
    auto step = std::make_unique<CopyStep>();
    step->x = need(id, kFlat);
    step->y = to;
    step->row_bytes = row_bytes(id);
    add(std::move(step), cat("output ", net_.outputs[static_cast<std::size_t>(output)].name));
  }

  template <class S>
  void add(std::unique_ptr<S> step, const std::string& label) {
    // Operands asked for early live until now, whatever steps the later ones took.
    step->places([this](Place& place) { read(place); });
    step->label = label;
    steps_.push_back(std::move(step));
  }

  // ---- addresses ------------------------------------------------------------------------------

  // Steps between which threads do not wait may run at the same time, so buffers live for whole
  // intervals.
  Lowered finish() {
    std::vector<int> interval(steps_.size() + 1);
    for (std::size_t i = 1; i < steps_.size(); ++i)
      interval[i] = interval[i - 1] + (must_wait(*steps_[i - 1], *steps_[i]) ? 1 : 0);
    for (BufferLife& life : buffers_) {
      life.first = interval[static_cast<std::size_t>(life.first)];
      life.last = interval[std::min(static_cast<std::size_t>(life.last), steps_.size() - 1)];
    }
    const ArenaPlan plan = place_buffers(buffers_);
    for (const auto& step : steps_)
      step->places([&](Place& place) {
        if (place.kind == Place::kScratch || place.kind == Place::kOneRow)
          place.at = plan.offsets[place.at];
      });
    return {std::move(steps_), plan.bytes};
  }

  const Net& net_;
  struct Places {
    Place form[kForms];
    Place& operator[](Form f) { return form[f]; }
    const Place& operator[](Form f) const { return form[f]; }
  };
  std::vector<Places> places_;
  std::vector<int> uses_;
  std::vector<bool> done_;  // nodes that an earlier step does
  std::vector<int> emitted_;
  std::map<std::tuple<int, Narrow, double, int>, Place> prepared_;
  std::vector<BufferLife> buffers_;
  std::vector<std::unique_ptr<Step>> steps_;
};

}  // namespace

bool must_wait(const Step& before, const Step& next) {
  return !(next.own && next.panels > 0 && next.panels == before.panels);
}

Lowered lower(const Net& net) { return Lowering(net).run(); }

}  // namespace densa::predict
