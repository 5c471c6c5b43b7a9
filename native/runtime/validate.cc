#include "runtime/validate.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace oa {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kMaxGuard = 4096;

[[noreturn]] void fail(const std::string& what, Error::Details details = {}) {
  throw Error("ERR_PROGRAM", what, std::move(details));
}

std::string shape_text(const Buffer& buffer) {
  std::string text = "[";
  for (int32_t i = 0; i < buffer.rank; ++i) {
    const Dim& dim = buffer.dims[i];
    text += i ? ", " : "";
    switch (dim.kind) {
      case Dim::Kind::constant: text += std::to_string(dim.value); break;
      case Dim::Kind::tokens: text += "T"; break;
      case Dim::Kind::sequences: text += "B"; break;
      case Dim::Kind::sequences_plus_one: text += "B+1"; break;
    }
  }
  return text + "]";
}

// Elements at capacity, bounded so that products of dimensions never overflow.
int64_t checked_elements(const Program& program, const Buffer& buffer, const std::string& name) {
  constexpr int64_t kMaxElements = int64_t{1} << 44;
  int64_t n = 1;
  for (int32_t i = 0; i < buffer.rank; ++i) {
    n *= buffer.dims[i].bind(program.tokens, program.sequences);
    if (n > kMaxElements) fail(name + " of shape " + shape_text(buffer) + " is too large");
  }
  return n;
}

void check_input(const Buffer& buffer, const std::string& name) {
  const auto vector_of = [&](Dim::Kind kind) {
    return buffer.dtype == DType::i32 && buffer.rank == 1 && buffer.dims[0].kind == kind;
  };
  bool good = buffer.rank >= 1;
  switch (buffer.offset) {
    case static_cast<uint64_t>(Input::ids):
    case static_cast<uint64_t>(Input::types): good = vector_of(Dim::Kind::tokens); break;
    case static_cast<uint64_t>(Input::cu): good = vector_of(Dim::Kind::sequences_plus_one); break;
    case static_cast<uint64_t>(Input::labels): break;
    default: fail(name + " names an unknown input, " + std::to_string(buffer.offset));
  }
  if (!good) fail(name + " is an input of the wrong type: " + dtype_name(buffer.dtype) + shape_text(buffer));
}

bool is_weight(const Buffer& buffer) { return buffer.storage == Storage::frozen || buffer.storage == Storage::task; }

// What an activation takes up, with its guard where the program has guards.
int64_t guarded_bytes(const Program& program, int64_t bytes) {
  return program.guard_bytes == 0 ? bytes : (bytes + kAlignment - 1) / kAlignment * kAlignment + program.guard_bytes;
}

void check_buffer(const Program& program, const Buffer& buffer, size_t index) {
  const std::string name = "buffer " + std::to_string(index);
  const int64_t elements = checked_elements(program, buffer, name);
  if (buffer.form != Form::raw && (!is_weight(buffer) || buffer.rank != 2)) {
    fail(name + " is packed, but no frozen matrix");
  }
  switch (buffer.storage) {
    case Storage::input: return check_input(buffer, name);
    case Storage::frozen:
    case Storage::task:
      if (buffer.dtype == DType::i32 || buffer.key.empty() || buffer.rank < 1)
        fail(name + " is no valid frozen weight");
      for (int32_t i = 0; i < buffer.rank; ++i) {
        if (buffer.dims[i].kind != Dim::Kind::constant)
          fail(name + " is frozen, but its shape is " + shape_text(buffer));
      }
      return;
    case Storage::activation:
      if (buffer.offset % kAlignment != 0) fail(name + " is not aligned to 64 bytes");
      if (buffer.offset > static_cast<uint64_t>(program.arena_bytes) ||
          guarded_bytes(program, buffer.bytes(program.tokens, program.sequences)) >
              program.arena_bytes - static_cast<int64_t>(buffer.offset)) {
        fail(name + " of shape " + shape_text(buffer) + " lies outside of the activation arena");
      }
      return;
    default:
      if (buffer.dtype != (buffer.storage == Storage::working ? DType::bf16 : DType::f32)) {
        fail(name + " lies in the parameters, but is " + dtype_name(buffer.dtype));
      }
      for (int32_t i = 0; i < buffer.rank; ++i) {
        if (buffer.dims[i].kind != Dim::Kind::constant) fail(name + " is a parameter of shape " + shape_text(buffer));
      }
      if (buffer.offset > static_cast<uint64_t>(program.parameters) ||
          elements > program.parameters - static_cast<int64_t>(buffer.offset)) {
        fail(name + " of shape " + shape_text(buffer) + " lies outside of the " + std::to_string(program.parameters) +
             " parameters");
      }
  }
}

// Two inputs buffers that name the same input must agree: a batch is checked against either.
void check_labels_agree(const Program& program) {
  const Buffer* first = nullptr;
  for (const Buffer& buffer : program.buffers) {
    if (buffer.storage != Storage::input || buffer.offset != static_cast<uint64_t>(Input::labels)) continue;
    if (!first) first = &buffer;
    if (buffer.dtype != first->dtype || buffer.rank != first->rank ||
        !std::equal(buffer.dims, buffer.dims + buffer.rank, first->dims)) {
      fail("the program reads labels in two shapes, " + shape_text(*first) + " and " + shape_text(buffer));
    }
  }
}

struct Range {
  Storage storage;
  int64_t begin = 0, end = 0;  // bytes
  bool operator==(const Range&) const = default;
  bool overlaps(const Range& other) const { return storage == other.storage && begin < other.end && other.begin < end; }
};

// Where a writable buffer lies at capacity; inputs and frozen weights are never written, so need no range.
Range range_of(const Program& program, const Buffer& buffer) {
  const int64_t begin = buffer.byte_offset();
  return {buffer.storage, begin, begin + buffer.bytes(program.tokens, program.sequences)};
}

bool is_written_safely(const Buffer& buffer) { return buffer.storage != Storage::input && !is_weight(buffer); }

// Ops that read an element before they write the one in its place, so an output may be exactly an input.
bool works_in_place(const OpInfo& info) { return info.name == "add" || info.name == "mul" || info.name == "dropout"; }

class OpCheck {
 public:
  OpCheck(const Program& program, const Entry& entry, const OpCall& op) : program_(program), entry_(entry), op_(op) {}

  void run() const {
    const OpInfo& info = *op_.info;
    if (op_.operands.size() != info.operand_list.size()) {
      wrong("", "has " + std::to_string(op_.operands.size()) + " operands, expected " +
                    std::to_string(info.operand_list.size()) + " (" + std::string(info.operands) + ")");
    }
    if (op_.attributes.size() != info.attribute_list.size()) {
      wrong("", "has " + std::to_string(op_.attributes.size()) + " attributes, expected " +
                    std::to_string(info.attribute_list.size()));
    }
    const Stored stored = stored_type();
    for (size_t i = 0; i < op_.operands.size(); ++i) check_operand(i, stored);
    for (size_t i = 0; i < static_cast<size_t>(info.outputs); ++i) check_overlaps(i);
  }

 private:
  [[noreturn]] void wrong(const std::string& operand, const std::string& what) const {
    const std::string of = operand.empty() ? "" : ", operand \"" + operand + "\"";
    fail("entry \"" + entry_.name + "\": " + op_.label() + of + ": " + what,
         {{"entry", entry_.name}, {"op", std::string(op_.info->name)}, {"node", op_.name}, {"operand", operand}});
  }

  std::string operand_name(size_t i) const { return std::string(op_.info->operand_list[i].name); }

  // What the operands are that may be bf16: those of the first `narrow` one.
  enum class Stored { f32, bf16, unknown };

  Stored stored_type() const {
    for (size_t i = 0; i < op_.operands.size(); ++i) {
      if (!op_.info->operand_list[i].narrow || op_.operands[i] >= program_.buffers.size()) continue;
      return program_.buffers[op_.operands[i]].dtype == DType::bf16 ? Stored::bf16 : Stored::f32;
    }
    return Stored::unknown;
  }

  void check_dtype(size_t i, const Buffer& buffer, Stored stored) const {
    const OperandInfo& expected = op_.info->operand_list[i];
    const DType dtype = expected.integer                                                       ? DType::i32
                        : expected.narrow && stored == Stored::bf16                            ? DType::bf16
                        : buffer.dtype == DType::bf16 && expected.any && stored != Stored::f32 ? DType::bf16
                                                                                               : DType::f32;
    if (buffer.dtype == dtype) return;
    wrong(operand_name(i), std::string("is ") + dtype_name(buffer.dtype) + ", expected " + dtype_name(dtype));
  }

  void check_operand(size_t i, Stored stored) const {
    const OperandInfo& expected = op_.info->operand_list[i];
    const uint32_t number = op_.operands[i];
    if (number == kNone) {
      if (!expected.optional) wrong(operand_name(i), "is absent, but required");
      return;
    }
    if (number >= program_.buffers.size()) wrong(operand_name(i), "names no buffer: " + std::to_string(number));
    const Buffer& buffer = program_.buffers[number];
    check_dtype(i, buffer, stored);
    check_batch_input(i, buffer);
    if (expected.output && !is_written_safely(buffer)) wrong(operand_name(i), "is written, but is an input or frozen");
  }

  // Batches are checked by what the input is (BatchRules), so an op must read each input under its own name, and
  // nothing else may stand in for ids, types, cu or class labels.
  void check_batch_input(size_t i, const Buffer& buffer) const {
    static constexpr const char* kInputNames[kInputs] = {"ids", "types", "cu", "labels"};
    const bool input = buffer.storage == Storage::input;
    if (op_.info->operand_list[i].integer && !input) wrong(operand_name(i), "must be an input of the batch");
    if (input && operand_name(i) != kInputNames[buffer.offset]) {
      wrong(operand_name(i), std::string("is the batch's ") + kInputNames[buffer.offset]);
    }
  }

  void check_overlaps(size_t output) const {
    if (op_.operands[output] == kNone) return;
    const Range written = range_of(program_, program_.buffers[op_.operands[output]]);
    for (size_t i = output + 1; i < op_.operands.size(); ++i) {
      if (op_.operands[i] == kNone) continue;
      const Buffer& buffer = program_.buffers[op_.operands[i]];
      if (!is_written_safely(buffer)) continue;
      const Range other = range_of(program_, buffer);
      const bool input = i >= static_cast<size_t>(op_.info->outputs);
      if (!written.overlaps(other) || (input && works_in_place(*op_.info) && written == other)) continue;
      wrong(operand_name(output), "overlaps operand \"" + operand_name(i) + "\"");
    }
  }

  const Program& program_;
  const Entry& entry_;
  const OpCall& op_;
};

// A scalar, or else an output, which is read out in f32 whatever it is.
void check_result(const Program& program, const Entry& entry, uint32_t number, const char* what, bool scalar) {
  if (number == kNone) return;
  const std::string name = "entry \"" + entry.name + "\": its " + what;
  if (number >= program.buffers.size()) fail(name + " names no buffer: " + std::to_string(number));
  const Buffer& buffer = program.buffers[number];
  if (!is_written_safely(buffer) || buffer.dtype == DType::i32 || (scalar && buffer.dtype != DType::f32)) {
    fail(name + " is no f32 value that the program writes");
  }
  if (scalar && (buffer.rank != 1 || buffer.dims[0] != Dim{Dim::Kind::constant, 1})) {
    fail(name + " has the shape " + shape_text(buffer) + ", expected [1]");
  }
}

std::string weight_shape(int64_t rows, int64_t columns) {
  return "[" + std::to_string(rows) + ", " + std::to_string(columns) + "]";
}

}  // namespace

void validate(const Program& program) {
  if (program.guard_bytes % kAlignment != 0 || program.guard_bytes > kMaxGuard) {
    fail("the program has guards of " + std::to_string(program.guard_bytes) + " bytes");
  }
  for (size_t i = 0; i < program.buffers.size(); ++i) check_buffer(program, program.buffers[i], i);
  check_labels_agree(program);
  std::set<std::string> names;
  for (const Entry& entry : program.entries) {
    if (!names.insert(entry.name).second) fail("the program has two entries \"" + entry.name + "\"");
    check_result(program, entry, entry.loss, "loss", true);
    check_result(program, entry, entry.norm, "norm", true);
    check_result(program, entry, entry.output, "output", false);
    for (const OpCall& op : entry.ops) OpCheck(program, entry, op).run();
  }
}

void validate(const Program& program, const Weights& weights) {
  const bool narrow = std::any_of(program.buffers.begin(), program.buffers.end(),
                                  [](const Buffer& buffer) { return buffer.dtype == DType::bf16; });
  if (narrow && !weights.device().stores_bf16()) {
    fail("the program has values in bf16, for which the device " + std::string(weights.device().name()) +
         " is not made: plan it in float32, or take a GPU in precision bfloat16");
  }
  for (const Buffer& buffer : program.buffers) {
    if (buffer.storage == Storage::frozen) find_weight(buffer, weights);
  }
}

const Weight& find_weight(const Buffer& buffer, const Weights& weights) {
  const Error::Details details = {{"key", buffer.key}};
  const Weight* weight = weights.find(buffer.key);
  if (!weight) fail("the program needs the weight \"" + buffer.key + "\", which is not loaded", details);
  const int64_t columns = buffer.rank == 1 ? 1 : buffer.elements(0, 0) / std::max<int64_t>(1, buffer.dims[0].value);
  if (weight->dtype != buffer.dtype) {
    fail("the weight \"" + buffer.key + "\" is " + dtype_name(weight->dtype) + "; the program expects " +
             dtype_name(buffer.dtype),
         details);
  }
  if (weight->form != buffer.form || weight->rows != buffer.dims[0].value || weight->columns != columns) {
    fail("the weight \"" + buffer.key + "\" has the shape " + weight_shape(weight->rows, weight->columns) +
             " and form " + std::to_string(static_cast<int>(weight->form)) + "; the program expects " +
             weight_shape(buffer.dims[0].value, columns) + " and form " + std::to_string(static_cast<int>(buffer.form)),
         details);
  }
  return *weight;
}

}  // namespace oa
