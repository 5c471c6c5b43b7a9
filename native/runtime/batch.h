// One batch as a step reads it, and the rules it must keep so that no kernel looks outside of its operands.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "runtime/program.h"

namespace oa {

// Views of the caller's memory, which must stay as it is until the step is over.
struct Batch {
  const int32_t* ids = nullptr;  // [T]
  int64_t ids_count = 0;
  const int32_t* types = nullptr;  // [T], or null: row 0 of the token type table
  int64_t types_count = 0;
  const int32_t* cu = nullptr;  // [B + 1], cumulative lengths
  int64_t cu_count = 0;
  const void* labels = nullptr;  // as the program's labels buffer says, or null
  int64_t labels_count = 0;
  DType labels_dtype = DType::i32;
  const int32_t* tasks = nullptr;      // [groups], the number of each group's task; its rows stand together
  const int32_t* task_ends = nullptr;  // [groups], one past the last sequence of each group; the last is B
  int64_t groups = 0;
  float learning_rate = 0;
  std::optional<uint32_t> step;  // absent: the session's own count

  int64_t tokens() const { return ids_count; }
  int64_t sequences() const { return cu_count - 1; }
};

// What the ops of one entry ask of a batch.
class BatchRules {
 public:
  BatchRules() = default;
  BatchRules(const Program& program, const Entry& entry);

  // Throws ERR_CAPACITY where T, B or a length is above what the program was planned for (plan again, larger), and
  // ERR_BATCH with the position and value for everything else.
  void check(const Batch& batch) const;

  // The entry reads weights of a task, so that every batch has to say whose its rows are.
  bool grouped() const { return grouped_; }

 private:
  static constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

  void limit_lookup(const Program& program, const OpCall& op);
  void limit_length(const OpCall& op);
  void limit_labels(const Program& program, const OpCall& op);
  void check_lengths(const Batch& batch) const;
  void check_rows(const Batch& batch) const;
  void check_labels(const Batch& batch) const;
  void check_label_values(const Batch& batch) const;
  void check_groups(const Batch& batch) const;

  int64_t tokens_ = 0;  // capacities
  int64_t sequences_ = 0;
  int64_t planned_length_ = kUnlimited;  // attention's scratch was made for sequences up to this
  int64_t positions_ = kUnlimited;       // rows of the position table that a sequence may use
  int64_t vocabulary_ = kUnlimited;
  int64_t token_types_ = kUnlimited;
  const Buffer* labels_ = nullptr;  // read by some op
  int64_t classes_ = kUnlimited;    // labels are class numbers below this, or kIgnored
  bool label_spans_ = false;        // labels are token positions within their sequence
  bool grouped_ = false;
};

// The label of a row that does not count in a loss.
constexpr int32_t kIgnoredLabel = -100;

}  // namespace oa
