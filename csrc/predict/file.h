// The file of a frozen network: a safetensors file with one tensor, the arena.
//
//   8 bytes   length N of the header, little-endian
//   N bytes   {"__metadata__":{"sum":"…16 hex digits…","format":"densa predictor","version":"1",
//              "net":"…JSON…", notes…},"arena":{"dtype":"U8","shape":[n],"data_offsets":[0,n]}}
//              and spaces, so that the arena begins at a multiple of 64 bytes
//   n bytes   the arena: constants, each at the next multiple of 64 bytes
//
// `sum` is file_sum of all bytes of the file but for its own sixteen digits, which count as zeros;
// a flipped bit anywhere changes it. Reading runs no code and trusts no number.
//
// A file has the lowest version that has all it holds: 2 for sparse weights, else 1.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "predict/net.h"

namespace densa {

inline constexpr int kNetFileVersion = 2;  // the newest

struct NetFile {
  Net net;
  std::map<std::string, std::string> notes;  // what others than the net keep there
};

// Everything in front of the arena, which is net.arena_bytes from net.arena.
std::string net_file_header(const Net& net, const std::map<std::string, std::string>& notes);

// `data` is aligned to 64 bytes and kept by `owner`, as the net's constants stay where they are.
// Throws ValueError, saying what is wrong, for anything but a file that net_file_header made.
// `check_sum`: whether all bytes are read and summed.
NetFile read_net_file(const std::byte* data, std::size_t bytes, std::shared_ptr<const void> owner,
                      bool check_sum = true);

// A file's bytes, mapped (the file must not shrink while they are in use) or read; aligned to a
// page or 64 bytes. Throws ValueError for a file that cannot be opened.
struct FileBytes {
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
  std::shared_ptr<const void> owner;
};
FileBytes open_file(const std::string& path, bool map);

// Eight chains h = h * p + x over words of eight bytes, joined the same way. p is odd, so a change
// of one word always shows.
std::uint64_t file_sum(const std::byte* data, std::size_t bytes, std::uint64_t start = 0);

}  // namespace densa
