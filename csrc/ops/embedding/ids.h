// Reading integer tensors of any width: ids of rows, class labels.
#pragma once
#include <cstdint>
#include <string>

#include "ops/op.h"

namespace densa {

// Element i of a contiguous integer array. A uint64 beyond int64 comes out negative, so that one
// range check refuses it too.
inline std::int64_t id_at(const View& ids, std::int64_t i) {
  switch (ids.dtype) {
    case DType::kInt8: return ids.as<const std::int8_t>()[i];
    case DType::kInt16: return ids.as<const std::int16_t>()[i];
    case DType::kInt32: return ids.as<const std::int32_t>()[i];
    case DType::kUInt8: return ids.as<const std::uint8_t>()[i];
    case DType::kUInt16: return ids.as<const std::uint16_t>()[i];
    case DType::kUInt32: return ids.as<const std::uint32_t>()[i];
    default: return ids.as<const std::int64_t>()[i];
  }
}

// For messages: element i as it was given.
inline std::string id_text(const View& ids, std::int64_t i) {
  return ids.dtype == DType::kUInt64 ? std::to_string(ids.as<const std::uint64_t>()[i])
                                     : std::to_string(id_at(ids, i));
}

// embedding and its gradient: `text`, element i of ids of this shape, is no row of the table.
[[noreturn]] inline void throw_bad_id(const char* op, const std::string& text, std::int64_t i,
                                      const Dims& ids, std::int64_t rows) {
  throw IndexError(cat(op, ": id ", text, " (element ", i, " of ids ", to_string(ids),
                       ") is out of range for a table of ", rows, " rows: ids go from 0 to ",
                       rows - 1));
}

}  // namespace densa
