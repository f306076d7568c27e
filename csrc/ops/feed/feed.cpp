#include "ops/feed/feed.h"

#include "base/dtype.h"
#include "simd/pick.h"

namespace densa {

static_assert(static_cast<int>(DType::kFloat64) + 1 == kFeedSources);

DENSA_PICK(FeedKernels, feed_table)

const FeedKernels& feed_kernels() { return *pick_feed_table(); }

}  // namespace densa
