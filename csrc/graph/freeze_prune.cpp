// Units whose value is known, or that nobody weighs, leave their dense; a known value moves into
// the biases of its readers.
//
// A unit is a column of a dense. Behind it may stand elementwise ops, and concatenates along the
// last axis; in the end only dense nodes may read it.
#include <algorithm>
#include <cmath>

#include "graph/freeze_parts.h"
#include "ops/elementwise/elementwise.h"

namespace densa::freezing {
namespace {

class Pruning {
 public:
  Pruning(Program& program, FreezeReport* report)
      : program_(program),
        report_(report),
        readers_(program),
        ranges_(find_ranges(program)),
        dropped_(program.values.size()) {}

  // Whether anything was removed.
  bool run() {
    bool any = false;
    for (const ProgramNode& node : program_.nodes)
      if (is_constant_dense(program_, node)) any |= mark_units(node);
    if (any)
      for (ProgramNode& node : program_.nodes) rebuild(node);
    return any;
  }

 private:
  bool known(int value, std::size_t column) const {
    const Range& range = ranges_[value];
    return range.lo[column] == range.hi[column] && std::isfinite(range.lo[column]);
  }

  bool mark_units(const ProgramNode& node) {
    const int y = node.out[0];
    const auto units = static_cast<std::size_t>(program_.values[y].type.shape.back());
    std::vector<std::size_t> gone;
    std::size_t of_known_value = 0;
    for (std::size_t j = 0; j < units; ++j)
      if (removable(y, j)) gone.push_back(j);
    if (gone.size() == units && !gone.empty()) gone.erase(gone.begin());  // one unit stays
    for (std::size_t j : gone) of_known_value += mark(y, j);
    if (gone.empty()) return false;
    report_->removed.push_back(cat(dense_name(program_, node), ": ", gone.size(), " of ", units,
                                   " units (", of_known_value, " of known value, ",
                                   gone.size() - of_known_value, " without weight)"));
    return true;
  }

  // How a node that reads `value` sees its columns.
  enum class Reading { kWeighs, kMaps, kJoins, kOther };
  Reading reading(const ProgramNode& node, int value) const {
    if (is_constant_dense(program_, node)) return Reading::kWeighs;
    if (node.kind != NodeKind::kOp || node.out.size() != 1) return Reading::kOther;
    const Dims &from = program_.values[value].type.shape,
               &to = program_.values[node.out[0]].type.shape;
    if (node.in.size() == 1 && find_unary(node.op->name) != nullptr) return Reading::kMaps;
    if (node.in.size() == 2 && find_binary(node.op->name) != nullptr && from == to &&
        column_constant(node.in[value == node.in[0] ? 1 : 0], from))
      return Reading::kMaps;
    if (is(node, "concatenate") && has_rows(to) && to.rank() > 1 &&
        normalize_axis(node.attrs.get_int("axis", -1), to.rank(), "freeze") == to.rank() - 1)
      return Reading::kJoins;
    return Reading::kOther;
  }

  // A constant with one number, or one for each column.
  bool column_constant(int value, const Dims& x) const {
    const Dims& shape = program_.values[value].type.shape;
    return is_constant(program_, value) &&
           (shape.empty() || (shape.rank() == 1 && shape[0] == x.back()));
  }

  // Calls f(output, column) for each place where a concatenate puts the column of `value`.
  template <class F>
  void each_join(const ProgramNode& node, int value, std::size_t column, const F& f) const {
    std::size_t first = 0;
    for (int id : node.in) {
      if (id == value) f(node.out[0], first + column);
      first += static_cast<std::size_t>(program_.values[id].type.shape.back());
    }
  }

  bool weighed(const ProgramNode& node, std::size_t row) const {
    const Value w = tensor_of(program_, node.in[1]);
    const auto out = static_cast<std::size_t>(w->type.shape[1]);
    const auto numbers = numbers_of(w).subspan(row * out, out);
    return std::any_of(numbers.begin(), numbers.end(), [](double n) { return n != 0; });
  }

  bool removable(int value, std::size_t column) const {
    if (readers_.output[value]) return false;
    for (int reader : readers_.nodes[value]) {
      const ProgramNode& node = program_.nodes[reader];
      bool can = false;
      switch (reading(node, value)) {
        case Reading::kWeighs: can = known(value, column) || !weighed(node, column); break;
        case Reading::kMaps: can = removable(node.out[0], column); break;
        case Reading::kJoins:
          can = true;
          each_join(node, value, column,
                    [&](int y, std::size_t at) { can = can && removable(y, at); });
          break;
        case Reading::kOther: break;
      }
      if (!can) return false;
    }
    return true;
  }

  // Returns whether any reader needs the value of the column, which then is known.
  bool mark(int value, std::size_t column) {
    bool used = false;
    auto& dropped = dropped_[value];
    dropped.resize(static_cast<std::size_t>(program_.values[value].type.shape.back()));
    dropped[column] = 1;
    for (int reader : readers_.nodes[value]) {
      const ProgramNode& node = program_.nodes[reader];
      switch (reading(node, value)) {
        case Reading::kWeighs: used |= weighed(node, column); break;
        case Reading::kMaps: used |= mark(node.out[0], column); break;
        default:
          each_join(node, value, column, [&](int y, std::size_t at) { used |= mark(y, at); });
      }
    }
    return used;
  }

  // The numbers whose place in the last axis stays.
  Numbers kept(std::span<const double> numbers, const std::vector<char>& dropped) const {
    Numbers out;
    for (std::size_t i = 0; i < numbers.size(); ++i)
      if (dropped.empty() || !dropped[i % dropped.size()]) out.push_back(numbers[i]);
    return out;
  }

  void rebuild(ProgramNode& node) {
    if (node.out.size() != 1) return;
    const int y = node.out[0];
    if (is_constant_dense(program_, node)) {
      if (dropped_[y].empty() && dropped_[node.in[0]].empty()) return;
      rebuild_dense(node);
    } else if (dropped_[y].empty()) {
      return;
    } else if (node.in.size() == 2 && find_binary(node.op->name) != nullptr) {
      for (int& id : node.in)
        if (is_constant(program_, id) && !program_.values[id].type.shape.empty()) {
          const std::string name = program_.values[id].name;
          const Value old = tensor_of(program_, id);
          const Numbers numbers = kept(numbers_of(old), dropped_[y]);
          id = program_.add_constant(
              tensor_of(Dims{static_cast<std::int64_t>(numbers.size())}, numbers));
          program_.values[id].name = name;
        }
    }
    Dims& shape = program_.values[y].type.shape;
    shape[shape.rank() - 1] -= std::count(dropped_[y].begin(), dropped_[y].end(), 1);
  }

  void rebuild_dense(ProgramNode& node) {
    ConstantDense dense(program_, node);
    const std::vector<char>&x = dropped_[node.in[0]], &y = dropped_[node.out[0]];
    const auto out = static_cast<std::size_t>(dense.out);
    Numbers rows;
    for (std::size_t i = 0; i < static_cast<std::size_t>(dense.in); ++i) {
      const auto row = std::span(dense.w).subspan(i * out, out);
      if (x.empty() || !x[i]) {
        rows.insert(rows.end(), row.begin(), row.end());
      } else if (known(node.in[0], i)) {
        const double value = ranges_[node.in[0]].lo[i];
        for (std::size_t j = 0; j < out; ++j) dense.b[j] += value * row[j];
      }
    }
    dense.in = static_cast<std::int64_t>(rows.size() / std::max<std::size_t>(out, 1));
    dense.w = kept(rows, y);
    dense.b = kept(dense.b, y);
    dense.out = static_cast<std::int64_t>(dense.b.size());
    dense.store(program_, node);
  }

  Program& program_;
  FreezeReport* report_;
  Readers readers_;
  std::vector<Range> ranges_;
  std::vector<std::vector<char>> dropped_;
};

}  // namespace

void prune_units(Program& program, FreezeReport* report) {
  while (Pruning(program, report).run()) program.remove_unused();
}

}  // namespace densa::freezing
