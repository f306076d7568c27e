// What a GpuPlan brings to the GPU and back: rows of the data set, numbers of the steps, results.
#include <algorithm>
#include <vector>

#include "graph/gpu_plan.h"
#include "graph/gpu_rows.h"
#include "graph/nonfinite.h"
#include "graph/stage.h"

namespace densa {

void GpuPlan::load_order() {
  if (span_.order == nullptr) {
    order_ = nullptr;
    return;
  }
  const std::size_t bytes = static_cast<std::size_t>(span_.end) * sizeof(std::int64_t);
  if (order_ == nullptr || order_->bytes() != bytes) order_ = allocate_on(device_, bytes);
  put(order_, span_.order, static_cast<std::size_t>(span_.end));
}

// Brings rows from `position_` on to the GPU; returns up to which position they lie there.
std::int64_t GpuPlan::upload_rows() {
  if (position_ < loaded_last_) return loaded_last_;
  if (!resident_) {
    bring_part();
    return loaded_last_;
  }
  parts_ = nullptr;
  load_all(gpu_, device_, program_, span_, sources_);
  load_order();
  result_rows_.resize(results_.size());
  for (std::size_t i = 0; i < results_.size(); ++i) {
    const std::size_t bytes = byte_count(with_rows(type(results_[i]).shape, span_.end),
                                         item_size(type(results_[i]).dtype));
    if (result_rows_[i] == nullptr || result_rows_[i]->bytes() != bytes)
      result_rows_[i] = allocate_on(device_, bytes);
  }
  loaded_first_ = position_;
  loaded_last_ = span_.end;
  return loaded_last_;
}

void GpuPlan::bring_part() {
  order_ = nullptr;
  sources_.clear();
  result_rows_.clear();
  if (loaded_last_ == 0) {  // the first one of the span
    if (parts_ == nullptr) parts_ = std::make_unique<GpuParts>(gpu_, device_, program_, results_);
    parts_->begin(span_);
    part_rows_ = parts_->rows();
  }
  parts_->bring(position_);
  recorded_.swap(next_recorded_);  // launches know their part's place
  bound_.swap(next_bound_);
  sources_ = parts_->sources();
  result_rows_ = parts_->results();
  loaded_first_ = parts_->first();
  loaded_last_ = parts_->last();
}

void GpuPlan::upload_numbers(std::int64_t steps, const double* rates, std::size_t rate_count) {
  const double unscale = optimizer_ == nullptr ? 1 : 1 / optimizer_->loss_scale_factor;
  for (const Updates& group : updates_) {
    const auto fill = [&](auto zero) {
      using T = decltype(zero);
      std::vector<StepNumbers<T>> numbers;
      for (std::int64_t i = 0; i < steps; ++i) {
        const auto at = static_cast<std::size_t>(steps_in_span_ + i);
        const double rate = rate_count > 0 ? rates[std::min(at, rate_count - 1)] : 0;
        for (const bool decay : {false, true})
          numbers.push_back(maker_->numbers<T>(step + i, rate, unscale, decay));
      }
      put(group.numbers, numbers.data(), numbers.size());
    };
    if (group.dtype == DType::kFloat64) {
      fill(double{});
    } else {
      fill(float{});
    }
  }
}

void GpuPlan::upload_step() {
  const DeviceStep now{first_draw + step, resident_ ? position_ : position_ - loaded_first_, 0, 0};
  put(step_, &now, 1);
}

void GpuPlan::clear_status() {
  const std::vector<long long> fine(static_cast<std::size_t>(status_count_) + 1, kFine);
  put(status_, fine.data(), fine.size());
}

std::int64_t GpuPlan::steps_over() {
  DeviceStep now{};
  gpu_.copy(device_, &now, step_->data(), sizeof now, cuda::Direction::kToHost);
  return now.index;
}

// All steps of the current part are over.
void GpuPlan::end_part() {
  parts_->fetch(results_from_, position_);
  results_from_ = position_;
  read_nonfinite();  // as rows of this part
  if (nonfinite_.input >= 0) clear_status();
}

// Results of all steps so far.
void GpuPlan::read_results() {
  if (!resident_) {
    if (parts_ == nullptr) return;
    if (results_from_ < position_) parts_->fetch(results_from_, position_);
    parts_->collect();
    results_from_ = position_;
    return;
  }
  for (std::size_t i = 0; i < results_.size(); ++i) {
    const ResultArray& result = span_.results[i];
    const auto row = static_cast<std::int64_t>(
        byte_count(with_rows(type(results_[i]).shape, 1), item_size(type(results_[i]).dtype)));
    gpu_.copy(device_, result.data + results_from_ * result.row_bytes,
              static_cast<const std::byte*>(result_rows_[i]->data()) + results_from_ * row,
              static_cast<std::size_t>((position_ - results_from_) * row),
              cuda::Direction::kToHost);
  }
  results_from_ = position_;
}

void GpuPlan::read_nonfinite() {
  std::vector<long long> codes(program_.inputs.size());
  if (codes.empty()) return;
  gpu_.copy(device_, codes.data(), status_->data(), codes.size() * sizeof(long long),
            cuda::Direction::kToHost);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] == kFine) continue;
    std::int64_t row = codes[i];
    if (!resident_) {  // the GPU knows places in the part, whose rows may be in any order
      const std::int64_t numbers = element_count(with_rows(type(program_.inputs[i]).shape, 1));
      const bool wide = std::all_of(works_.begin(), works_.end(), [&](const Work& work) {
        return work.input != static_cast<int>(i) || type(work.out[0]).dtype == DType::kFloat64;
      });
      const std::int64_t first = loaded_first_ + row, last = std::max(position_, first + 1);
      row = smallest_nonfinite(span_.sources[i], numbers, wide ? DType::kFloat64 : DType::kFloat32,
                               span_.order, first, last);
    }
    if (row < 0) continue;  // somebody has changed the data since
    if (nonfinite_.input < 0 || row < nonfinite_.row) nonfinite_ = {static_cast<int>(i), row};
  }
}

}  // namespace densa
