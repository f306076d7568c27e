#include <unordered_map>

#include "base/near.h"
#include "ops/op.h"

namespace densa {

namespace ops {
#define DENSA_OP_FOLDER(folder) std::span<const Op> folder();
#include "ops/list.inc"
#undef DENSA_OP_FOLDER
}  // namespace ops

namespace {

struct Registry {
  std::vector<const Op*> all;
  std::unordered_map<std::string_view, const Op*> by_name;

  void add(const char* folder, std::span<const Op> ops) {
    for (const Op& op : ops) {
      if (!by_name.emplace(op.name, &op).second)
        throw ValueError(cat("op '", op.name, "' of ", folder, " is defined twice"));
      all.push_back(&op);
    }
  }
  Registry() {
#define DENSA_OP_FOLDER(folder) add(#folder, ops::folder());
#include "ops/list.inc"
#undef DENSA_OP_FOLDER
  }
};

const Registry& registry() {
  static const Registry* const kept = new Registry;  // never freed: threads may outlive main
  return *kept;
}

}  // namespace

const Op& find_op(std::string_view name) {
  const auto& by_name = registry().by_name;
  if (const auto it = by_name.find(name); it != by_name.end()) return *it->second;
  std::vector<std::string_view> known;
  for (const Op* op : registry().all) known.push_back(op->name);
  throw ValueError(cat("unknown op '", name, "'", suggestion(name, known)));
}

std::span<const Op* const> all_ops() { return registry().all; }

}  // namespace densa
