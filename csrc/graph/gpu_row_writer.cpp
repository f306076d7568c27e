// Writes a program of rows: steps, the columns of its values, inputs and outputs.
#include <algorithm>
#include <bit>
#include <map>
#include <string>

#include "base/arena.h"
#include "graph/gpu_row_program.h"

namespace densa {
namespace {

using Kind = RowStepKind;

constexpr std::size_t kLine = 128;  // of place_buffers: stands for four columns

class Writer {
 public:
  Writer(const Program& program, const Region& region, DType dtype)
      : program_(program), region_(region), types_(program, dtype), dtype_(dtype) {}

  // The node that replaces the region's, or nothing where it does not fit or costs more than it
  // saves.
  std::optional<ProgramNode> write(std::int64_t rows) {
    outside_ = program_.use_counts();
    for (std::size_t i = 0; i < program_.nodes.size(); ++i)
      if (region_.has[i])
        for (int id : program_.nodes[i].in) --outside_[id];
    find_roundings();
    for (std::size_t i = 0; i < program_.nodes.size(); ++i)
      if (region_.has[i]) add(program_.nodes[i], region_.meaning[i]);
    if (region_.label >= 0) input(region_.label);
    if (rows_of_ < 0 || !pays(rows)) return std::nullopt;
    std::vector<BufferLife> lives;
    for (const Columns& one : columns_)
      lives.push_back({static_cast<std::size_t>((one.wide + 3) / 4) * kLine, one.first, one.last});
    const ArenaPlan places = place_buffers(lives);
    if (!fits(places)) return std::nullopt;
    return finish(places);
  }

 private:
  struct Columns {
    std::int64_t wide = 0;
    int first = 0, last = 0;  // steps
  };
  // How the region's values are read: `index` counts runs of columns, or inputs.
  struct Known {
    RowOperand::Kind kind = RowOperand::kColumns;
    int index = 0;
  };

  int input(int id) {
    const auto at = std::ranges::find(in_, id);
    if (at != in_.end()) return static_cast<int>(at - in_.begin());
    in_.push_back(id);
    return static_cast<int>(in_.size()) - 1;
  }
  int now() const { return static_cast<int>(steps_.size()); }
  int new_columns(std::int64_t wide) {
    columns_.push_back({wide, now(), now()});
    return static_cast<int>(columns_.size()) - 1;
  }
  void touch(const Known& known) {
    if (known.kind == RowOperand::kColumns || known.kind == RowOperand::kColumn)
      columns_[static_cast<std::size_t>(known.index)].last = now();
  }

  // Operands name runs of columns until they have their places.
  RowOperand operand_of(const Known& known) const {
    const bool columns = known.kind == RowOperand::kColumns || known.kind == RowOperand::kColumn;
    return columns ? RowOperand::of(known.kind, known.index) : memory_of(known.kind, known.index);
  }
  RowOperand memory_of(RowOperand::Kind kind, int input) const {
    return RowOperand::of(kind, input, format(in_[static_cast<std::size_t>(input)]));
  }
  NumberFormat format(int id) const { return format_of(types_.type(id).dtype); }

  // Before a step that reads value `id` with `wide` columns.
  Known known(int id, std::int64_t wide) {
    const auto found = values_.find(id);
    if (found == values_.end()) {
      if (is_number(types_.type(id))) return {RowOperand::kScalar, input(id)};
      if (types_.width(id) == 0) return {RowOperand::kVector, input(id)};
      const std::int64_t own = types_.width(id);
      const int columns = new_columns(own);
      const int from = input(id);
      if (rows_of_ < 0) rows_of_ = from;
      push({.kind = Kind::kLoad,
            .a = memory_of(RowOperand::kScalar, from),
            .out = static_cast<std::uint16_t>(columns),
            .wide = static_cast<std::uint16_t>(own)});
      values_[id] = {RowOperand::kColumns, columns};
    }
    Known out = values_.at(id);
    if (out.kind == RowOperand::kColumns &&
        columns_[static_cast<std::size_t>(out.index)].wide < wide)
      out.kind = RowOperand::kColumn;
    return out;
  }
  // The same as a run of as many columns.
  Known whole(int id, std::int64_t wide) {
    Known from = known(id, wide);
    if (from.kind == RowOperand::kColumns) return from;
    touch(from);
    const int columns = new_columns(wide);
    push({.kind = Kind::kUnary,
          .a = operand_of(from),
          .out = static_cast<std::uint16_t>(columns),
          .wide = static_cast<std::uint16_t>(wide)});
    return {RowOperand::kColumns, columns};
  }

  // The same where a product multiplies numbers of a format alone.
  Known factor(int id, std::int64_t wide, NumberFormat format) {
    const Known from = whole(id, wide);
    if (format == NumberFormat::kFull || types_.is_rounded(id, format)) return from;
    touch(from);
    const int columns = new_columns(wide);
    push_rounding(from.index, columns, wide, format);
    return {RowOperand::kColumns, columns};
  }

  void push(const RowStep& step) { steps_.push_back(step); }
  void push_rounding(int from, int to, std::int64_t wide, NumberFormat format) {
    push({.kind = Kind::kUnary,
          .rounds = static_cast<std::uint8_t>(format),
          .a = RowOperand::of(RowOperand::kColumns, from),
          .out = static_cast<std::uint16_t>(to),
          .wide = static_cast<std::uint16_t>(wide)});
  }

  // Roundings that alone read what another step makes belong to that step.
  void find_roundings() {
    const std::vector<int> uses = program_.use_counts();
    for (std::size_t i = 0; i < program_.nodes.size(); ++i) {
      const ProgramNode& node = program_.nodes[i];
      if (!region_.has[i] || rounding_of(program_, node) == NumberFormat::kFull) continue;
      const int from = node.in[0], maker = program_.values[from].node;
      if (uses[from] == 1 && maker >= 0 && region_.has[maker] &&
          region_.meaning[maker].role == Role::kStep)
        rounding_[from] = &node;
    }
  }
  // What a result is rounded to as it is made.
  NumberFormat rounding(int id) const {
    const auto behind = rounding_.find(id);
    return behind == rounding_.end() ? format(id) : rounding_of(program_, *behind->second);
  }

  void result(const ProgramNode& node, std::size_t which, std::int64_t wide, int columns) {
    int id = node.out[which];
    if (const auto behind = rounding_.find(id); behind != rounding_.end())
      id = behind->second->out[0];
    values_[id] = {RowOperand::kColumns, columns};
    store(id, wide);
  }
  void store(int id, std::int64_t wide) {
    if (outside_[id] <= 0) return;
    const Known from = known(id, wide);
    touch(from);
    push({.kind = Kind::kStore,
          .a = operand_of(from),
          .b = RowOperand::of(RowOperand::kScalar, static_cast<std::int64_t>(stored_.size()),
                              format(id)),
          .wide = static_cast<std::uint16_t>(wide)});
    stored_.push_back(id);
  }
  std::int32_t new_sum(int id, std::int64_t width) {
    const auto at = static_cast<std::int32_t>(sum_size_);
    const std::int64_t size = element_count(types_.type(id).shape);
    sums_.push_back(id);
    sizes_.push_back(size);
    widths_.push_back(width);
    sum_size_ += size;
    return at;
  }

  std::int8_t mask(const Attrs& attrs) {
    const Ints words{
        attrs.get_int("seed", 0),  attrs.get_int("stream", 0),
        attrs.get_int("step", -1), attrs.get_int("every", 1),
        attrs.get_int("use", 0),   std::bit_cast<std::int64_t>(attrs.get_double("rate", 0))};
    for (std::size_t at = 0; at < masks_.size(); at += kRowMaskWords)
      if (std::equal(words.begin(), words.end(), masks_.begin() + static_cast<std::ptrdiff_t>(at)))
        return static_cast<std::int8_t>(at / kRowMaskWords);
    masks_.insert(masks_.end(), words.begin(), words.end());
    return static_cast<std::int8_t>(masks_.size() / kRowMaskWords - 1);
  }

  void add(const ProgramNode& node, const Meaning& meaning);
  static std::int64_t columns_of(const ArenaPlan& places) {
    return tile_columns(static_cast<std::int64_t>(places.bytes / kLine * 4));
  }
  bool fits(const ArenaPlan& places) const;
  bool pays(std::int64_t rows) const;
  ProgramNode finish(const ArenaPlan& places);

  const Program& program_;
  const Region& region_;
  RowTypes types_;
  DType dtype_;
  std::vector<int> outside_;                    // readers of each value outside of the region
  std::map<int, const ProgramNode*> rounding_;  // of find_roundings, by what they round
  std::map<int, Known> values_;
  std::vector<Columns> columns_;
  std::vector<RowStep> steps_;
  std::vector<int> in_, stored_, sums_;
  Ints sizes_, widths_, masks_;
  std::int64_t sum_size_ = 0, weights_ = 0;
  int rows_of_ = -1, launches_ = 0;
};

void Writer::add(const ProgramNode& node, const Meaning& meaning) {
  const int x = node.in[0], y = node.out[0];
  if (meaning.role == Role::kAlias) {
    const std::int64_t wide = types_.width(y);
    const Known from = known(x, wide);
    touch(from);
    values_[y] = from;
    store(y, wide);
    return;
  }
  const NumberFormat rounds = rounding_of(program_, node);
  if (rounds == NumberFormat::kFull || node.attrs.get_bool("apart", false)) ++launches_;
  if (rounds != NumberFormat::kFull && values_.count(y) != 0) return;
  RowStep step{.kind = meaning.kind,
               .fn = static_cast<std::int8_t>(meaning.fn),
               .parameter = meaning.parameter};
  const std::int64_t wide = std::max<std::int64_t>(types_.width(y), 1);
  step.wide = static_cast<std::uint16_t>(wide);
  const auto read = [&](RowOperand& to, const Known& from) {
    to = operand_of(from);
    touch(from);
  };
  const auto weight = [&](int id) {
    step.c = memory_of(RowOperand::kScalar, input(id));
    weights_ += element_count(types_.type(id).shape);
  };
  const std::int64_t in = types_.width(x);
  step.in = static_cast<std::uint16_t>(in);
  std::vector<Known> from;
  switch (meaning.kind) {
    case Kind::kDense:
    case Kind::kBackward: {
      from = {factor(x, in, meaning.factors)};
      if (meaning.kind == Kind::kDense && node.in.size() > 2) {
        // w and b lie side by side among the inputs.
        step.flags = kHasBias;
        const auto at = std::ranges::find(in_, node.in[1]);
        if (at == in_.end() || at + 1 == in_.end() || at[1] != node.in[2]) {
          in_.insert(in_.end(), {node.in[1], node.in[2]});
          step.c = memory_of(RowOperand::kScalar, static_cast<int>(in_.size()) - 2);
        } else {
          step.c = memory_of(RowOperand::kScalar, static_cast<int>(at - in_.begin()));
        }
        weights_ += in * wide;
      } else {
        weight(node.in[1]);
      }
      break;
    }
    case Kind::kUnary:
    case Kind::kPair:
    case Kind::kDropout: from = {known(x, wide)}; break;
    case Kind::kSlope:
    case Kind::kBinary: from = {known(x, wide), known(node.in[1], wide)}; break;
    case Kind::kRowSum:
      step.flags = meaning.fn > 0 ? kIsMean : 0;
      step.fn = -1;
      from = {whole(x, in)};
      break;
    case Kind::kSoftmax:
    case Kind::kAccuracy: from = {whole(x, in)}; break;
    case Kind::kLoss: {
      from = {whole(x, in)};
      if (types_.is_label(node.in[1])) {
        from.push_back(from[0]);
      } else {
        from.push_back(whole(node.in[1], in));
      }
      if (node.in.size() > 2) {
        from.push_back(known(node.in[2], 1));
      } else {
        step.flags = kLossAlone;
      }
      break;
    }
    case Kind::kWeightSum: {
      const std::int64_t out = types_.width(node.in[1]);
      from = {factor(x, in, meaning.factors), factor(node.in[1], out, meaning.factors)};
      step.wide = static_cast<std::uint16_t>(out);
      weights_ += in * out;
      break;
    }
    case Kind::kColumnSum:
      from = {whole(x, in)};
      step.wide = step.in;
      step.in = 1;
      break;
    case Kind::kTotal:
      from = {whole(x, in)};
      step.wide = step.in;
      step.fn = -1;
      break;
    default: break;
  }
  if (meaning.kind == Kind::kDropout) step.fn = mask(node.attrs);
  if (rounds != NumberFormat::kFull) step.fn = -1;
  if ((meaning.kind == Kind::kLoss || meaning.kind == Kind::kAccuracy) &&
      types_.is_label(node.in[1]))
    step.flags |= kHasLabels;
  RowOperand* const to[] = {&step.a, &step.b, &step.c};
  for (std::size_t k = 0; k < from.size(); ++k) read(*to[k], from[k]);
  if (sums_rows(meaning.kind)) {
    const bool mean = meaning.kind == Kind::kTotal && meaning.fn > 0;
    step.sum = new_sum(y, mean ? in : 0);
    push(step);
    return;
  }
  std::vector<int> columns;
  for (std::size_t k = 0; k < node.out.size(); ++k)
    columns.push_back(new_columns(std::max<std::int64_t>(types_.width(node.out[k]), 1)));
  step.out = static_cast<std::uint16_t>(columns[0]);
  if (columns.size() > 1) step.out2 = static_cast<std::uint16_t>(columns[1]);
  const auto format_of_result = [&](std::size_t k) {
    return rounds != NumberFormat::kFull ? rounds : rounding(node.out[k]);
  };
  if (rounds_results(step.kind))
    for (std::size_t k = 0; k < columns.size(); ++k)
      step.rounds |= static_cast<std::uint8_t>(static_cast<int>(format_of_result(k)) << 2 * k);
  push(step);
  for (std::size_t k = 0; k < columns.size(); ++k) {
    const auto size = columns_[static_cast<std::size_t>(columns[k])].wide;
    if (const NumberFormat to = format_of_result(k);
        to != NumberFormat::kFull && !rounds_results(step.kind)) {
      columns_[static_cast<std::size_t>(columns[k])].last = now();
      push_rounding(columns[k], columns[k], size, to);
    }
    result(node, k, size, columns[k]);
  }
}

bool Writer::fits(const ArenaPlan& places) const {
  return kLeastTile * columns_of(places) * static_cast<std::int64_t>(item_size(dtype_)) <=
             kTileBytes &&
         steps_.size() <= kMostRowSteps && in_.size() <= kMostRowInputs &&
         stored_.size() <= kMostRowOutputs && sums_.size() <= kMostRowSums &&
         masks_.size() <= kMostRowMasks * kRowMaskWords;
}

// An estimate, in nanoseconds. A block reads, or writes, some 15 weights in one, tile after tile;
// sums cross memory twice for each block, at some 3000 bytes. A launch that waits for the one
// before it takes 1000.
bool Writer::pays(std::int64_t rows) const {
  const std::int64_t tiles = (rows + kLeastTile - 1) / kLeastTile;
  const std::int64_t blocks = std::min(tiles, kMostRowBlocks);
  const auto item = static_cast<std::int64_t>(item_size(dtype_));
  const std::int64_t tile_work = (tiles + blocks - 1) / blocks * weights_ * (item / 4) / 15;
  const std::int64_t sum_work = blocks * sum_size_ * item * 2 / 3000;
  const std::int64_t saved = launches_ - (sums_.empty() ? 1 : 2);
  return saved >= 2 && tile_work + sum_work < saved * 1000;
}

ProgramNode Writer::finish(const ArenaPlan& places) {
  const auto place = [&](std::uint16_t& columns) {
    columns = static_cast<std::uint16_t>(places.offsets[columns] / kLine * 4);
  };
  std::string names;
  for (RowStep& step : steps_) {
    for (RowOperand* one : {&step.a, &step.b, &step.c}) {
      if (one->kind() != RowOperand::kColumns && one->kind() != RowOperand::kColumn) continue;
      auto index = static_cast<std::uint16_t>(one->index());
      place(index);
      *one = RowOperand::of(one->kind(), index);
    }
    place(step.out);
    place(step.out2);
    names += cat(names.empty() ? "" : " ", kRowStepNames[static_cast<int>(step.kind)]);
  }
  ProgramNode node{.op = &row_program_op(),
                   .in = in_,
                   .out = stored_,
                   .attrs = {{"steps", row_steps_code(steps_)},
                             {"names", names},
                             {"columns", columns_of(places)},
                             {"rows_of", std::int64_t{rows_of_}},
                             {"sizes", sizes_},
                             {"widths", widths_},
                             {"masks", masks_}},
                   .variable = nullptr};
  node.out.insert(node.out.end(), sums_.begin(), sums_.end());
  return node;
}

}  // namespace

std::optional<ProgramNode> write_row_program(const Program& program, const Region& region,
                                             DType dtype, std::int64_t rows) {
  return Writer(program, region, dtype).write(rows);
}

}  // namespace densa
