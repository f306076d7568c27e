// Loading a model and asking what it takes and gives.
#include "capi/model.h"

#include <sys/stat.h>

#include <cerrno>
#include <limits>

#include "base/threads.h"
#include "capi/guard.h"
#include "predict/file.h"

namespace densa::capi {
namespace {

constexpr std::size_t kLine = 64;
constexpr densa_load_options kDefaults = DENSA_LOAD_OPTIONS_INIT;

densa_load_options load_options(const densa_load_options* given) {
  const auto options = options_of(given, kDefaults, sizeof kDefaults, "densa_load_options");
  for (const std::int32_t flag : {options.in_place, options.skip_sum})
    if (flag != 0 && flag != 1)
      refuse(DENSA_INVALID_ARGUMENT, "densa_load_options: a flag is ", flag, ", not 0 or 1");
  return options;
}

void check_size(std::size_t bytes, const densa_load_options& options) {
  if (options.most_bytes > 0 && bytes > options.most_bytes)
    refuse(DENSA_LIMIT, "the file has ", bytes, " bytes; at most ", options.most_bytes,
           " are allowed");
}

densa_model* make(const FileBytes& file, const densa_load_options& options) {
  NetFile read = read_net_file(file.data, file.bytes, file.owner, options.skip_sum == 0);
  available_threads();  // found out now: calls read no files
  return new densa_model{std::make_shared<const Frozen>(std::move(read.net))};
}

Frozen::Array array_of(const std::string& name, const TypeInfo& type) {
  const std::size_t item = item_size(type.dtype);
  return {name.c_str(), type, byte_count(with_rows(type.shape, 1), item), item};
}

densa_dtype dtype_code(DType dtype) {
  switch (dtype) {
    case DType::kBool: return DENSA_BOOL;
    case DType::kInt8: return DENSA_INT8;
    case DType::kInt16: return DENSA_INT16;
    case DType::kInt32: return DENSA_INT32;
    case DType::kInt64: return DENSA_INT64;
    case DType::kUInt8: return DENSA_UINT8;
    case DType::kUInt16: return DENSA_UINT16;
    case DType::kUInt32: return DENSA_UINT32;
    case DType::kUInt64: return DENSA_UINT64;
    case DType::kFloat16: return DENSA_FLOAT16;
    case DType::kBFloat16: return DENSA_BFLOAT16;
    case DType::kFloat32: return DENSA_FLOAT32;
    case DType::kFloat64: return DENSA_FLOAT64;
  }
  refuse(DENSA_INTERNAL, "a dtype without a code");
}

void describe(const std::vector<Frozen::Array>& arrays, std::size_t index,
              densa_tensor_info* info) {
  const std::size_t size =
      known_size(need(info, "info").struct_size, sizeof(densa_tensor_info), "densa_tensor_info");
  if (index >= arrays.size())
    refuse(DENSA_INVALID_ARGUMENT, "index ", index, " of ", arrays.size());
  const Frozen::Array& array = arrays[index];
  std::memset(static_cast<void*>(info), 0, size);
  info->struct_size = size;
  info->name = array.name;
  info->dtype = dtype_code(array.type.dtype);
  info->rank = array.type.shape.rank();
  for (int i = 0; i < info->rank; ++i) info->shape[i] = array.type.shape[i];
  info->row_bytes = array.row_bytes;
}

}  // namespace

Frozen::Frozen(Net net) : predictor(std::move(net)) {
  const Net& kept = predictor.net();
  std::size_t largest = 1;
  for (const NetInput& input : kept.inputs) inputs.push_back(array_of(input.name, input.type));
  for (const NetOutput& output : kept.outputs)
    outputs.push_back(
        array_of(output.name, kept.values[static_cast<std::size_t>(output.value)].type));
  for (const auto* arrays : {&inputs, &outputs})
    for (const Array& array : *arrays) largest = std::max(largest, array.row_bytes);
  most_rows = std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(largest);
}

}  // namespace densa::capi

using namespace densa::capi;  // NOLINT(google-build-using-namespace): the functions lie outside

extern "C" {

densa_status densa_model_load(const char* path, const densa_load_options* options,
                              densa_model** model) {
  if (model != nullptr) *model = nullptr;
  densa::FileBytes file;
  densa_load_options taken;
  const densa_status opened = guarded(DENSA_CANNOT_READ, [&] {
    need(model, "model"), need(path, "path");
    taken = load_options(options);
    struct stat about {};
    if (::stat(path, &about) != 0)
      refuse(DENSA_CANNOT_READ, path, ": cannot be opened: ", std::strerror(errno));
    check_size(static_cast<std::size_t>(about.st_size), taken);
    file = densa::open_file(path, taken.in_place != 0);
    check_size(file.bytes, taken);
  });
  if (opened != DENSA_OK) return opened;
  return guarded(DENSA_BAD_FILE, [&] {
    try {
      *model = make(file, taken);
    } catch (const densa::ValueError& error) {
      refuse(DENSA_BAD_FILE, path, ": ", error.what());
    }
  });
}

densa_status densa_model_load_memory(const void* data, size_t bytes,
                                     const densa_load_options* options, densa_model** model) {
  if (model != nullptr) *model = nullptr;
  return guarded(DENSA_BAD_FILE, [&] {
    need(model, "model");
    if (data == nullptr) refuse(DENSA_INVALID_ARGUMENT, "data is NULL");
    const densa_load_options taken = load_options(options);
    check_size(bytes, taken);
    densa::FileBytes file{static_cast<const std::byte*>(data), bytes, nullptr};
    if (taken.in_place == 0) {
      const auto copy = densa::Storage::allocate(std::max<std::size_t>(bytes, 1));
      std::memcpy(copy->data(), data, bytes);
      file = {static_cast<const std::byte*>(copy->data()), bytes, copy};
    } else if (reinterpret_cast<std::uintptr_t>(data) % kLine != 0) {
      refuse(DENSA_INVALID_ARGUMENT, "data is not aligned to ", kLine, " bytes, as in_place wants");
    }
    *model = make(file, taken);
  });
}

void densa_model_free(densa_model* model) { delete model; }

size_t densa_model_inputs(const densa_model* model) {
  return model == nullptr ? 0 : model->frozen->inputs.size();
}

size_t densa_model_outputs(const densa_model* model) {
  return model == nullptr ? 0 : model->frozen->outputs.size();
}

densa_status densa_model_input(const densa_model* model, size_t index, densa_tensor_info* info) {
  return guarded(DENSA_INTERNAL,
                 [&] { describe(need(model, "model").frozen->inputs, index, info); });
}

densa_status densa_model_output(const densa_model* model, size_t index, densa_tensor_info* info) {
  return guarded(DENSA_INTERNAL,
                 [&] { describe(need(model, "model").frozen->outputs, index, info); });
}
}
