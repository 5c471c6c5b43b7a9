#include "runtime/batch.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/error.h"
#include "runtime/task_groups.h"

namespace oa {
namespace {

[[noreturn]] void wrong(const std::string& what, Error::Details details = {}) {
  throw Error("ERR_BATCH", "the batch is not valid: " + what, std::move(details));
}

[[noreturn]] void too_large(const char* field, int64_t got, int64_t capacity) {
  throw Error("ERR_CAPACITY",
              "the batch has " + std::to_string(got) + " " + field + ", the program was planned for " +
                  std::to_string(capacity),
              {{"field", field}, {"got", std::to_string(got)}, {"capacity", std::to_string(capacity)}});
}

// The buffer of the first present operand with one of these names, or null.
const Buffer* operand_named(const Program& program, const OpCall& op, std::initializer_list<std::string_view> names) {
  for (size_t i = 0; i < op.operands.size(); ++i) {
    if (op.operands[i] == kNone) continue;
    if (std::find(names.begin(), names.end(), op.info->operand_list[i].name) != names.end()) {
      return &program.buffers[op.operands[i]];
    }
  }
  return nullptr;
}

// Position of the first value outside of [0, limit), or -1.
int64_t first_outside(const int32_t* values, int64_t count, int64_t limit) {
  for (int64_t i = 0; i < count; ++i) {
    if (values[i] < 0 || values[i] >= limit) return i;
  }
  return -1;
}

void check_values(const char* field, const int32_t* values, int64_t count, int64_t limit, const char* table) {
  const int64_t at = first_outside(values, count, limit);
  if (at < 0) return;
  wrong(std::string(field) + "[" + std::to_string(at) + "] is " + std::to_string(values[at]) + ", " + table + " has " +
            std::to_string(limit) + " rows",
        {{"field", field}, {"index", std::to_string(at)}, {"value", std::to_string(values[at])}});
}

std::string sequence_text(int64_t index, int64_t length) {
  return "sequence " + std::to_string(index) + " has " + std::to_string(length) + " tokens";
}

}  // namespace

BatchRules::BatchRules(const Program& program, const Entry& entry)
    : tokens_(program.tokens), sequences_(program.sequences), grouped_(reads_task(program, entry)) {
  for (const OpCall& op : entry.ops) {
    limit_lookup(program, op);
    limit_length(op);
    limit_labels(program, op);
  }
}

void BatchRules::limit_lookup(const Program& program, const OpCall& op) {
  if (op.info->name != "embedding" && op.info->name != "embedding_backward") return;
  const auto rows = [](const Buffer* table) { return table ? table->dims[0].value : kUnlimited; };
  vocabulary_ = std::min(vocabulary_, rows(operand_named(program, op, {"word", "d_word"})));
  token_types_ = std::min(token_types_, rows(operand_named(program, op, {"token_type", "d_token_type"})));
  if (const Buffer* table = operand_named(program, op, {"position", "d_position"})) {
    const int64_t position_offset = static_cast<int32_t>(op.attributes[0]);
    positions_ = std::min(positions_, std::max<int64_t>(0, rows(table) - position_offset));
  }
}

void BatchRules::limit_length(const OpCall& op) {
  for (size_t i = 0; i < op.attributes.size(); ++i) {
    if (op.info->attribute_list[i].name == "max_length") {
      planned_length_ = std::min<int64_t>(planned_length_, static_cast<int32_t>(op.attributes[i]));
    }
  }
}

void BatchRules::limit_labels(const Program& program, const OpCall& op) {
  const Buffer* labels = operand_named(program, op, {"labels"});
  if (!labels || labels->storage != Storage::input) return;
  labels_ = labels;
  if (labels->dtype != DType::i32) return;
  if (operand_named(program, op, {"cu"})) {
    label_spans_ = true;
  } else if (const Buffer* logits = operand_named(program, op, {"logits"}); logits && logits->rank == 2) {
    classes_ = std::min(classes_, logits->dims[1].value);
  }
}

void BatchRules::check(const Batch& batch) const {
  if (!batch.cu || batch.cu_count < 2) wrong("cu needs at least two elements, got " + std::to_string(batch.cu_count));
  if (batch.sequences() > sequences_) too_large("sequences", batch.sequences(), sequences_);
  if (batch.tokens() > tokens_) too_large("tokens", batch.tokens(), tokens_);
  check_lengths(batch);
  check_rows(batch);
  check_labels(batch);
  check_groups(batch);
}

void BatchRules::check_lengths(const Batch& batch) const {
  if (batch.cu[0] != 0) wrong("cu[0] is " + std::to_string(batch.cu[0]) + ", expected 0", {{"field", "cu"}});
  for (int64_t b = 0; b < batch.sequences(); ++b) {
    const int64_t length = int64_t{batch.cu[b + 1]} - batch.cu[b];
    if (length < 0) wrong("cu decreases at " + std::to_string(b + 1), {{"field", "cu"}});
    if (length > positions_) {
      wrong(sequence_text(b, length) + ", the backbone has positions for " + std::to_string(positions_),
            {{"field", "cu"}, {"index", std::to_string(b)}});
    }
    if (length > planned_length_) too_large("tokens in one sequence", length, planned_length_);
  }
  if (batch.cu[batch.sequences()] != batch.tokens()) {
    wrong("cu ends with " + std::to_string(batch.cu[batch.sequences()]) + ", but ids has " +
              std::to_string(batch.tokens()) + " tokens",
          {{"field", "cu"}});
  }
}

void BatchRules::check_rows(const Batch& batch) const {
  check_values("ids", batch.ids, batch.ids_count, vocabulary_, "the word table");
  if (!batch.types) return;
  if (batch.types_count != batch.tokens()) {
    wrong("types has " + std::to_string(batch.types_count) + " elements, ids has " + std::to_string(batch.tokens()),
          {{"field", "types"}});
  }
  check_values("types", batch.types, batch.types_count, token_types_, "the token type table");
}

void BatchRules::check_labels(const Batch& batch) const {
  if (!labels_) return;
  if (!batch.labels) wrong("it has no labels, but the entry computes a loss", {{"field", "labels"}});
  if (batch.labels_dtype != labels_->dtype) {
    wrong(std::string("labels are ") + dtype_name(batch.labels_dtype) + ", expected " + dtype_name(labels_->dtype),
          {{"field", "labels"}});
  }
  const int64_t expected = labels_->elements(batch.tokens(), batch.sequences());
  if (batch.labels_count != expected) {
    wrong("labels has " + std::to_string(batch.labels_count) + " elements, expected " + std::to_string(expected),
          {{"field", "labels"}});
  }
  if (labels_->dtype == DType::i32) check_label_values(batch);
}

void BatchRules::check_label_values(const Batch& batch) const {
  const int32_t* labels = static_cast<const int32_t*>(batch.labels);
  for (int64_t i = 0; i < batch.labels_count; ++i) {
    int64_t limit = classes_;
    if (label_spans_) {  // labels[B, 2]
      const int64_t b = i / 2;
      limit = int64_t{batch.cu[b + 1]} - batch.cu[b];
      if (limit == 0) continue;  // a sequence without tokens takes no part in the loss
    } else if (labels[i] == kIgnoredLabel) {
      continue;
    }
    if (labels[i] >= 0 && labels[i] < limit) continue;
    wrong("labels[" + std::to_string(i) + "] is " + std::to_string(labels[i]) + ", expected 0 to " +
              std::to_string(limit - 1),
          {{"field", "labels"}, {"index", std::to_string(i)}, {"value", std::to_string(labels[i])}});
  }
}

void BatchRules::check_groups(const Batch& batch) const {
  if (grouped_ != (batch.groups > 0)) {
    wrong(grouped_ ? "it does not say which rows are of which task" : "it has tasks, but the entry reads none",
          {{"field", "tasks"}});
  }
  int64_t before = 0;
  for (int64_t g = 0; g < batch.groups; ++g) {
    const int64_t end = batch.task_ends[g];
    const bool last = g + 1 == batch.groups;
    if (end <= before || end > batch.sequences() || (last && end != batch.sequences())) {
      wrong("taskEnds[" + std::to_string(g) + "] is " + std::to_string(end) + ", expected " +
                (last ? "" : "a number from " + std::to_string(before + 1) + " to ") +
                std::to_string(batch.sequences()),
            {{"field", "taskEnds"}, {"index", std::to_string(g)}});
    }
    before = end;
  }
}

}  // namespace oa
