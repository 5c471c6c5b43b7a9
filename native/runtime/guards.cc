#include "runtime/guards.h"

#include <algorithm>

#include "base/error.h"

namespace oa {
namespace {

constexpr int64_t kLine = 64;

int64_t round_up(int64_t bytes, int64_t step) { return (bytes + step - 1) / step * step; }

struct Guard {
  uint32_t* begin;
  uint32_t* end;
  uint32_t word;

  void fill(uint32_t value) const { std::fill(begin, end, value); }
  const uint32_t* first_changed() const {
    return std::find_if(begin, end, [this](uint32_t value) { return value != word; });
  }
};

// A signalling NaN: what is computed from one is another NaN, so no arithmetic gives it back. Every buffer has its own,
// so neither does a copy from behind an input.
uint32_t guard_word(uint32_t number) { return 0x7f800001 | (number & 0xfffff) << 1; }

Guard behind(char* begin, char* end, uint32_t number) {
  return {reinterpret_cast<uint32_t*>(begin), reinterpret_cast<uint32_t*>(end), guard_word(number)};
}

// From the last element of this step to the end of the guard, which lies behind the last element at capacity.
Guard behind_output(const Program& program, uint32_t number, const Operand& operand) {
  const Buffer& buffer = program.buffers[number];
  const int64_t offset = static_cast<int64_t>(buffer.offset) * (buffer.storage == Storage::activation ? 1 : 4);
  const int64_t bytes = 4 * buffer.elements(program.tokens, program.sequences);
  char* const base = static_cast<char*>(operand.data) - offset;
  return behind(static_cast<char*>(operand.data) + 4 * operand.size(),
                base + round_up(offset + bytes, kLine) + program.guard_bytes, number);
}

// `visit(guard, operand name, is in a flat buffer)` for each output and the scratch.
template <class F>
void for_each_guard(const Program& program, const OpCall& op, const Call& call, int64_t scratch_bytes, const F& visit) {
  for (int i = 0; i < op.info->outputs; ++i) {
    if (!call[i]) continue;
    visit(behind_output(program, op.operands[i], call[i]), op.info->operand_list[i].name,
          call[i].storage != Storage::activation);
  }
  char* const scratch_end = call.scratch + round_up(scratch_bytes, 4);
  visit(behind(scratch_end, scratch_end + program.guard_bytes, kNone), std::string_view("scratch"), false);
}

[[noreturn]] void fail(const Entry& entry, const OpCall& op, std::string_view operand, int64_t distance) {
  const std::string name(operand);
  throw Error("ERR_OVERRUN",
              "entry \"" + entry.name + "\": " + op.label() + " wrote " + std::to_string(distance) +
                  " bytes behind the end of its " + name,
              {{"entry", entry.name}, {"op", std::string(op.info->name)}, {"node", op.name}, {"operand", name}});
}

}  // namespace

void run_guarded(const Program& program, const Entry& entry, const OpCall& op, const OpFunctions& functions,
                 const Call& call, int64_t scratch_bytes) {
  for_each_guard(program, op, call, scratch_bytes,
                 [](const Guard& guard, std::string_view, bool) { guard.fill(guard.word); });
  functions.run(call);
  for_each_guard(program, op, call, scratch_bytes, [&](const Guard& guard, std::string_view operand, bool flat) {
    const uint32_t* const changed = guard.first_changed();
    if (changed != guard.end) fail(entry, op, operand, 4 * (changed - guard.begin));
    if (flat) guard.fill(0);
  });
}

}  // namespace oa
