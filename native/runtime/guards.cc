#include "runtime/guards.h"

#include <algorithm>
#include <optional>

#include "base/error.h"

namespace oa {
namespace {

constexpr int64_t kLine = 64;

int64_t round_up(int64_t bytes, int64_t step) { return (bytes + step - 1) / step * step; }

// A piece of memory on a device, looked at through a small window of our own.
struct Guard {
  char* begin;
  char* end;
  uint32_t word;

  static constexpr int64_t kWindow = 256;  // words

  void fill(const Device& device, uint32_t value) const {
    uint32_t window[kWindow];
    std::fill(window, window + kWindow, value);
    for_each_window([&](char* at, int64_t bytes) { device.write(at, window, static_cast<size_t>(bytes)); });
  }

  // The distance of the first changed word from the begin, in bytes.
  std::optional<int64_t> first_changed(const Device& device) const {
    uint32_t window[kWindow];
    std::optional<int64_t> found;
    for_each_window([&](char* at, int64_t bytes) {
      if (found) return;
      device.read(window, at, static_cast<size_t>(bytes));
      const int64_t count = bytes / 4;
      const int64_t i = std::find_if(window, window + count, [this](uint32_t v) { return v != word; }) - window;
      if (i < count) found = at - begin + 4 * i;
    });
    return found;
  }

  template <class F>
  void for_each_window(const F& visit) const {
    for (char* at = begin; at < end; at += 4 * kWindow) visit(at, std::min<int64_t>(end - at, 4 * kWindow));
  }
};

// A signalling NaN: what is computed from one is another NaN, so no arithmetic gives it back. Every buffer has its own,
// so neither does a copy from behind an input.
uint32_t guard_word(uint32_t number) { return 0x7f800001 | (number & 0xfffff) << 1; }

// From the last element of this step to the end of the guard, which lies behind the last element at capacity.
Guard behind_output(const Program& program, uint32_t number, const Operand& operand) {
  const Buffer& buffer = program.buffers[number];
  const int64_t offset = buffer.byte_offset();
  const int64_t bytes = buffer.bytes(program.tokens, program.sequences);
  char* const data = static_cast<char*>(operand.data);
  return {data + dtype_bytes(buffer.dtype) * operand.size(),
          data - offset + round_up(offset + bytes, kLine) + program.guard_bytes, guard_word(number)};
}

// `visit(guard, operand name, is in a flat buffer)` for each output and the scratch.
template <class F>
void for_each_guard(const Program& program, const GuardedOp& op, const F& visit) {
  for (int i = 0; i < op.info.info->outputs; ++i) {
    if (!op.call[i]) continue;
    visit(behind_output(program, op.info.operands[i], op.call[i]), op.info.info->operand_list[i].name,
          op.call[i].storage != Storage::activation);
  }
  char* const scratch_end = op.call.scratch + round_up(op.scratch_bytes, 4);
  visit(Guard{scratch_end, scratch_end + program.guard_bytes, guard_word(kNone)}, std::string_view("scratch"), false);
}

[[noreturn]] void fail(const Entry& entry, const OpCall& op, std::string_view operand, int64_t distance) {
  const std::string name(operand);
  throw Error("ERR_OVERRUN",
              "entry \"" + entry.name + "\": " + op.label() + " wrote " + std::to_string(distance) +
                  " bytes behind the end of its " + name,
              {{"entry", entry.name}, {"op", std::string(op.info->name)}, {"node", op.name}, {"operand", name}});
}

}  // namespace

void Guards::fill(const GuardedOp& op) const {
  for_each_guard(program_, op, [this](const Guard& guard, std::string_view, bool) { guard.fill(device_, guard.word); });
}

void Guards::check(const GuardedOp& op) const {
  for_each_guard(program_, op, [&](const Guard& guard, std::string_view operand, bool flat) {
    if (const auto distance = guard.first_changed(device_)) fail(entry_, op.info, operand, *distance);
    if (flat) guard.fill(device_, 0);
  });
}

}  // namespace oa
