// The builder that computes at once.
#include <array>
#include <climits>

#include "ops/backend.h"
#include "ops/matmul/matmul_precision.h"
#include "tensor/builder.h"
#include "tensor/half.h"
#include "tensor/large_work.h"
#include "tensor/tape.h"
#include "tensor/variable.h"

namespace densa {
namespace {

thread_local std::vector<TensorBuilder*> builders;

LargeWork large_work;
constexpr std::int64_t kLargeElements = 1 << 15;

class AroundLargeWork {
 public:
  explicit AroundLargeWork(bool large)
      : token_(large && large_work.enter != nullptr ? large_work.enter() : nullptr) {}
  ~AroundLargeWork() {
    if (token_ != nullptr) large_work.leave(token_);
  }
  AroundLargeWork(const AroundLargeWork&) = delete;
  AroundLargeWork& operator=(const AroundLargeWork&) = delete;

 private:
  void* token_;
};

// Scratch memory of this thread's ops: grows, is never shared, and shrinks to kKeptScratch.
constexpr std::size_t kKeptScratch = std::size_t{1} << 22;

class Scratch {
 public:
  explicit Scratch(std::size_t bytes)
      : block_(bytes > kKeptScratch ? Storage::allocate(bytes) : keep(bytes)) {}
  void* data() const { return block_ == nullptr ? nullptr : block_->data(); }

 private:
  static std::shared_ptr<Storage> keep(std::size_t bytes) {
    thread_local std::shared_ptr<Storage> kept;
    if (bytes == 0) return nullptr;
    if (kept == nullptr || kept->bytes() < bytes) kept = Storage::allocate(bytes);
    return kept;
  }
  std::shared_ptr<Storage> block_;
};

constexpr std::size_t kFewInputs = 8;

// `count` values of T, in place while they are few.
template <class T>
class Few {
 public:
  explicit Few(std::size_t count) : count_(count) {
    if (count > kFewInputs) many_.resize(count);
  }
  T* data() { return count_ > kFewInputs ? many_.data() : few_.data(); }
  T& operator[](std::size_t i) { return data()[i]; }
  std::span<const T> span() { return {data(), count_}; }

 private:
  std::size_t count_;
  std::array<T, kFewInputs> few_;
  std::vector<T> many_;
};

const TensorNode& checked(const Value& value, const Op& op) {
  const TensorNode& tensor = as_tensor(value, op.name);
  if (tensor.guard != TensorNode::kUnguarded &&
      static_cast<std::uint64_t>(tensor.guard) != tensor.storage->version())
    throw std::runtime_error(
        cat("backward: the gradient needs a tensor ", dtype_name(tensor.type.dtype),
            to_string(tensor.type.shape), " (read by ", op.name,
            ") that was written to after the op was computed. Copy it before writing, or call "
            "backward() first"));
  return tensor;
}

class EagerBuilder final : public TensorBuilder {
 public:
  std::vector<Value> run_op(const Op& op, std::span<const Value> in, const Attrs& attrs) override {
    Few<TypeInfo> types(in.size());
    for (std::size_t i = 0; i < in.size(); ++i) types[i] = checked(in[i], op).type;
    std::vector<TypeInfo> out_types = op.infer(types.span(), attrs);
    check_writes(op, out_types);

    std::vector<Value> out;
    out.reserve(out_types.size());
    if (op.alias) {
      const TensorPtr from = make_contiguous(std::static_pointer_cast<TensorNode>(in[0]));
      auto to = std::make_shared<TensorNode>(out_types[0], from->storage);
      to->offset_bytes = from->offset_bytes;
      out.push_back(std::move(to));
    } else if (const Device device = device_of(op, in); device.is_cpu()) {
      evaluate(op, in, attrs, types.span(), out_types, out);
    } else {
      evaluate_on(device, op, in, attrs, types.span(), out_types, out);
    }
    record(op, in, attrs, out);
    return out;
  }

  // On the CPU: it is copied to where the value beside it lies.
  Value full(const TypeInfo& type, double number) override { return full_tensor(type, number); }

  Value read_variable(const std::shared_ptr<Variable>& variable) override {
    return variable->value();
  }

  void assign_variable(const std::shared_ptr<Variable>& variable, const Value& value) override {
    const TensorNode& from = as_tensor(value, "Variable.assign");
    const TypeInfo& to = variable->type();
    if (!(from.type.shape == to.shape))
      throw ShapeError(cat("assign: variable '", variable->name(), "' has shape ",
                           to_string(to.shape), " but the value has shape ",
                           to_string(from.type.shape)));
    const auto* first = static_cast<const std::byte*>(variable->data());
    const auto* last =
        first + variable->padded_size() * static_cast<std::ptrdiff_t>(item_size(to.dtype));
    const auto* data = static_cast<const std::byte*>(from.data());
    const bool overlaps = data >= first && data < last;  // it reads the memory it writes
    if (from.type.dtype != to.dtype) {
      const GradMode off(false);
      const Attrs attrs{{"dtype", std::string(dtype_name(to.dtype))}};
      variable->write(
          as_tensor(apply("cast", {detach(as_tensor_ptr(value, "assign"))}, attrs), "assign"));
    } else if (overlaps) {
      variable->write(*copy_tensor(from));
    } else {
      variable->write(from);
    }
  }

  bool recording() const override { return false; }

 private:
  // The GPU of any input; the CPU's tensors beside it are copied there. Without inputs, the
  // default.
  static Device device_of(const Op& op, std::span<const Value> in) {
    if (!has_backend()) return kCpu;
    if (in.empty()) return default_device();
    Device found = kCpu;
    for (const Value& value : in) {
      const Device device = static_cast<const TensorNode&>(*value).device();
      if (device.is_cpu()) continue;
      if (!found.is_cpu() && !(found == device))
        throw ValueError(cat(op.name, ": its inputs lie on ", to_string(found), " and ",
                             to_string(device), "; bring them together with .to(device)"));
      found = device;
    }
    return found;
  }

  static void evaluate_on(Device device, const Op& op, std::span<const Value> in,
                          const Attrs& given, std::span<const TypeInfo> types,
                          std::vector<TypeInfo>& out_types, std::vector<Value>& out) {
    const DeviceOp& on_gpu = device_op(op.name);
    const MatmulPrecision precision =
        on_gpu.multiplies ? matmul_precision() : MatmulPrecision::kHighest;
    const bool adds = precision != MatmulPrecision::kHighest;
    const Attrs added = adds ? with_matmul_precision(given, precision) : Attrs();
    const Attrs& attrs = adds ? added : given;
    Few<View> in_views(in.size());
    std::vector<TensorPtr> copies;  // keeps what was moved or made contiguous alive
    for (std::size_t i = 0; i < in.size(); ++i) {
      TensorPtr tensor = to_device(std::static_pointer_cast<TensorNode>(in[i]), device);
      if (!on_gpu.any_strides) tensor = make_contiguous(tensor);
      in_views[i] = tensor->view();
      if (tensor->contiguous) in_views[i].strides = contiguous_strides(tensor->type.shape);
      copies.push_back(std::move(tensor));
    }
    Few<View> out_views(out_types.size());
    for (std::size_t i = 0; i < out_types.size(); ++i) {
      TensorPtr tensor = empty_tensor(out_types[i], device);
      out_views[i] = tensor->view();
      out.push_back(std::move(tensor));
    }
    Backend& gpu = backend();
    std::shared_ptr<Storage> scratch, status;
    if (on_gpu.scratch_bytes != nullptr)
      if (const std::size_t bytes = on_gpu.scratch_bytes(types, attrs); bytes > 0)
        scratch = allocate_on(device, bytes);
    DeviceCall call{in_views.span(), out_views.span(),
                    attrs,           scratch == nullptr ? nullptr : scratch->data(),
                    nullptr,         gpu.stream(device)};
    constexpr long long kFine = LLONG_MAX;
    const bool fails = on_gpu.fails(attrs);
    if (fails) {
      status = allocate_on(device, sizeof kFine);
      call.status = static_cast<long long*>(status->data());
      fill_on(device, call.status, DType::kInt64, 1, std::uint64_t{kFine});
    }
    {
      const auto held = gpu.hold(device);
      run_on_gpu(on_gpu, call);
    }
    if (!fails) return;
    long long code = kFine;
    gpu.copy(device, &code, call.status, sizeof code, cuda::Direction::kToHost);
    if (code == kFine) return;
    const auto held = gpu.hold(device);
    on_gpu.report(call, code);
  }

  static void evaluate(const Op& op, std::span<const Value> in, const Attrs& attrs,
                       std::span<const TypeInfo> types, std::vector<TypeInfo>& out_types,
                       std::vector<Value>& out) {
    Few<View> in_views(in.size());
    std::int64_t elements = 0;
    std::vector<TensorPtr> copies;  // keeps row-major copies alive
    for (std::size_t i = 0; i < in.size(); ++i) {
      const auto& tensor = static_cast<const TensorNode&>(*in[i]);
      elements += element_count(tensor.type.shape);
      if (op.any_strides || tensor.contiguous) {
        in_views[i] = tensor.view();
        if (tensor.contiguous) in_views[i].strides = contiguous_strides(tensor.type.shape);
      } else {
        copies.push_back(copy_tensor(tensor.view()));
        in_views[i] = copies.back()->view();
      }
    }
    Few<View> out_views(out_types.size());
    for (std::size_t i = 0; i < out_types.size(); ++i) {
      TensorPtr tensor = empty_tensor(out_types[i]);
      out_views[i] = tensor->view();
      elements += element_count(out_types[i].shape);
      out.push_back(std::move(tensor));
    }
    const Scratch scratch(op.scratch_bytes == nullptr ? 0 : op.scratch_bytes(types, attrs));
    const AroundLargeWork around(elements >= kLargeElements);
    op.eval({in_views.span(), out_views.span(), attrs, scratch.data()});
  }
};

}  // namespace

void set_large_work(LargeWork hooks) { large_work = hooks; }

TensorBuilder& eager_builder() {
  static EagerBuilder builder;
  return builder;
}

TensorBuilder& current_builder() { return builders.empty() ? eager_builder() : *builders.back(); }

void push_builder(TensorBuilder& builder) { builders.push_back(&builder); }

void pop_builder(TensorBuilder& builder) {
  if (builders.empty() || builders.back() != &builder)
    throw ValueError("a recording ended on another thread or out of order");
  builders.pop_back();
}

ScopedBuilder::~ScopedBuilder() {
  if (!builders.empty() && builders.back() == &builder_) builders.pop_back();
}

}  // namespace densa
