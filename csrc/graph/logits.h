// What a softmax or sigmoid was made of, for losses that compute both at once.
#pragma once
#include <string_view>

#include "graph/program.h"

namespace densa {

// The value x with op(x) = `value`, in value's shape and type, where `op` is a softmax along the
// last axis or an elementwise op without attributes; null where `op` did not make `value`. It is
// found behind floating casts, inside a dense op with that activation, and, of elementwise ops,
// behind reshapes. Records what is needed to form x.
Value before(Recorder& recorder, const Program& program, const Value& value, std::string_view op);

// The same of a tensor on the tape, computed at once; null also where memory was written since.
Value before(const Value& tensor, std::string_view op);

}  // namespace densa
