#include "cuda/trouble.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <vector>

#include "base/error.h"

namespace densa::cuda {
namespace {

std::string version(int v) { return cat(v / 1000, '.', v % 1000 / 10); }

struct Code {
  int version = 0;  // 75 for 7.5
  bool ptx = false, exact = false;
};

std::vector<Code> codes(std::string_view built) {
  std::vector<Code> all;
  while (!built.empty()) {
    const std::size_t end = std::min(built.find(' '), built.size());
    std::string_view word = built.substr(0, end);
    built.remove_prefix(std::min(end + 1, built.size()));
    Code code;
    code.ptx = word.starts_with("ptx");
    if (code.ptx) word.remove_prefix(3);
    const auto [rest, error] =
        std::from_chars(word.data(), word.data() + word.size(), code.version);
    if (error != std::errc()) continue;
    code.exact = rest != word.data() + word.size();
    all.push_back(code);
  }
  return all;
}

// Written by whoever holds a device, read by whoever waits.
constexpr unsigned kNotes = 6;
std::array<std::atomic<const char*>, kNotes> notes{};
std::atomic<unsigned> noted{0}, first_note{0};

}  // namespace

int usable_devices(const Found& found, std::string* why_none) {
  if (found.driver == 0) {
    *why_none = "this machine has no NVIDIA driver (libcuda.so.1 was not found)";
  } else if (found.driver / 1000 < found.runtime / 1000) {
    *why_none = cat("the NVIDIA driver knows CUDA ", version(found.driver),
                    ", densa was built with ", version(found.runtime), "; install a newer driver");
  } else if (!found.error.empty()) {
    *why_none = found.error;
  } else if (found.devices == 0) {
    *why_none = "the NVIDIA driver sees no GPU (is CUDA_VISIBLE_DEVICES set?)";
  } else {
    return found.devices;
  }
  return 0;
}

bool has_code(std::string_view built, int major, int minor) {
  const int mine = major * 10 + minor;
  for (const Code& code : codes(built)) {
    if (code.exact) {
      if (code.version == mine) return true;
    } else if (code.version <= mine && (code.ptx || code.version / 10 == major)) {
      return true;
    }
  }
  return false;
}

std::string no_code(std::string_view built, const std::string& name, int major, int minor) {
  std::string machine, ptx;
  for (const Code& code : codes(built)) {
    std::string& list = code.ptx ? ptx : machine;
    list += cat(list.empty() ? "" : ", ", code.version / 10, '.', code.version % 10);
  }
  return cat("the GPU (", name, ") has compute capability ", major, '.', minor,
             ", for which this build of densa has no code: it has machine code for ", machine,
             ptx.empty() ? "" : " and PTX for GPUs from ", ptx, ptx.empty() ? "" : " on",
             ". Build it with -C cmake.define.DENSA_CUDA_ARCHITECTURES=", major, minor,
             " by a CUDA that knows this GPU");
}

void note(const char* op) { notes[noted.fetch_add(1) % kNotes] = op; }

const char* last_noted() {
  const unsigned count = noted.load();
  return count == 0 ? "" : notes[(count - 1) % kNotes].load();
}

unsigned notes_so_far() { return noted.load(); }
void forget_notes(unsigned so_far) { first_note = so_far; }

std::string broken_gpu(const char* what, const char* error) {
  const unsigned end = noted.load(), all = end - first_note.load();
  std::string ops;
  for (unsigned i = end - std::min(all, kNotes); i != end; ++i)
    ops += cat(ops.empty() ? "" : ", ", notes[i % kNotes].load());
  return cat("cuda: ", what, ": ", error, ". An earlier launch failed; ",
             ops.empty()
                 ? "none is known since the GPU was last waited for"
                 : cat(all > kNotes ? "the latest were " : "launched since the last wait: ", ops),
             ". The GPU does nothing more in this process: begin a new one");
}

}  // namespace densa::cuda
