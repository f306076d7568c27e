// libFuzzer: bytes as the file of a frozen network. Whatever they are, reading them ends in a
// ValueError or in a network that answers a row, or refuses it with an error of its own.
//
// Two forms, so that mutations need not keep lengths and escapes right:
//   'N' a b text   the network's JSON, wrapped into a file with an arena of 64 * (a + 256 b) bytes
//   others         a whole file, whose sum is not checked
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/storage.h"
#include "predict/file.h"
#include "predict/json.h"
#include "predict/predictor.h"

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 24;  // of a row, of scratch

std::string wrapped(std::string_view text, std::size_t arena_bytes) {
  const auto size = static_cast<std::int64_t>(arena_bytes);
  const densa::Json arena(
      densa::Json::Object{{"dtype", "U8"},
                          {"shape", densa::Json::List{size}},
                          {"data_offsets", densa::Json::List{std::int64_t{0}, size}}});
  std::string header =
      densa::Json(
          densa::Json::Object{{"__metadata__", densa::Json::Object{{"sum", std::string(16, '0')},
                                                                   {"format", "densa predictor"},
                                                                   {"version", "2"},
                                                                   {"net", std::string(text)}}},
                              {"arena", arena}})
          .text();
  header.resize((8 + header.size() + 63) / 64 * 64 - 8, ' ');
  std::string file(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
  file += header;
  for (std::size_t i = 0; i < arena_bytes; ++i) file += static_cast<char>(i % 4 == 3 ? 0x3D : 0);
  return file;
}

std::size_t row_bytes(const densa::TypeInfo& type) {
  return densa::byte_count(densa::with_rows(type.shape, 1), densa::item_size(type.dtype));
}

void run_a_row(const densa::Predictor& predictor) {
  const densa::Net& net = predictor.net();
  if (predictor.scratch_bytes(1) > kMostBytes || predictor.row_flops() > 1e8) return;
  std::vector<std::vector<std::byte>> memory;
  std::vector<const void*> in;
  std::vector<void*> out;
  const auto take = [&](const densa::TypeInfo& type) {
    memory.emplace_back(row_bytes(type));
    return memory.back().data();
  };
  std::size_t all = 0;
  for (const densa::NetValue& value : net.values)
    if (value.kind != densa::NetValue::kConstant) {
      if (row_bytes(value.type) > kMostBytes - all) return;
      all += row_bytes(value.type);
    }
  for (const densa::NetInput& input : net.inputs) {
    if (row_bytes(input.type) > kMostBytes) return;
    in.push_back(take(input.type));
  }
  for (const densa::NetOutput& output : net.outputs)
    out.push_back(take(net.values[static_cast<std::size_t>(output.value)].type));
  const auto scratch = densa::Storage::allocate(predictor.scratch_bytes(1));
  predictor.run(in.data(), out.data(), 1, static_cast<std::byte*>(scratch->data()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string file(reinterpret_cast<const char*>(data), size);
  try {
    if (size >= 3 && data[0] == 'N') {
      const std::size_t lines = std::min<std::size_t>(data[1] + 256U * data[2], 2048);
      file = wrapped(std::string_view(file).substr(3), 64 * lines);
    }
    const auto storage = densa::Storage::allocate(std::max<std::size_t>(file.size(), 1));
    std::memcpy(storage->data(), file.data(), file.size());
    densa::NetFile read = densa::read_net_file(static_cast<const std::byte*>(storage->data()),
                                               file.size(), storage, false);
    run_a_row(densa::Predictor(std::move(read.net)));
  } catch (const densa::ValueError&) {
  } catch (const densa::TypeError&) {
  } catch (const densa::IndexError&) {
  } catch (const std::bad_alloc&) {
  }
  return 0;
}
