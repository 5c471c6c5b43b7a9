// A decoded program: what lib/plan decided, as flat tables. The byte format is in native/README.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "ops/registry.h"

namespace oa {

constexpr uint32_t kProgramMagic = 0x5250414f;  // "OAPR"
constexpr uint32_t kProgramVersion = 2;
constexpr uint32_t kNone = 0xffffffff;  // no buffer

// What each batch brings; the offset of an `input` buffer.
enum class Input : uint32_t { ids = 0, types = 1, cu = 2, labels = 3 };
constexpr int kInputs = 4;

struct Dim {
  enum class Kind : uint32_t { constant = 0, tokens = 1, sequences = 2, sequences_plus_one = 3 };
  Kind kind = Kind::constant;
  int64_t value = 0;

  int64_t bind(int64_t tokens, int64_t sequences) const {
    switch (kind) {
      case Kind::constant: return value;
      case Kind::tokens: return tokens;
      case Kind::sequences: return sequences;
      case Kind::sequences_plus_one: return sequences + 1;
    }
    return 0;
  }
  bool operator==(const Dim&) const = default;
};

struct Buffer {
  Storage storage = Storage::activation;
  DType dtype = DType::f32;
  Form form = Form::raw;
  int32_t rank = 0;
  Dim dims[3];
  uint64_t offset = 0;  // bytes (activation), elements (of the flat buffers), Input (input)
  std::string key;      // frozen

  int64_t elements(int64_t tokens, int64_t sequences) const {
    int64_t n = 1;
    for (int32_t i = 0; i < rank; ++i) n *= dims[i].bind(tokens, sequences);
    return n;
  }
  int64_t bytes(int64_t tokens, int64_t sequences) const { return elements(tokens, sequences) * dtype_bytes(dtype); }

  // Where it begins in its storage, which is not `input`.
  int64_t byte_offset() const {
    return static_cast<int64_t>(offset) * (storage == Storage::activation ? 1 : dtype_bytes(dtype));
  }
};

struct OpCall {
  const OpInfo* info = nullptr;
  std::string name;                  // in the user's terms: "layer.0.ffn.up"
  std::vector<uint32_t> operands;    // buffer numbers or kNone, in the order of opcodes.h
  std::vector<uint32_t> attributes;  // one word each

  std::string label() const { return std::string(info->name) + " \"" + name + "\""; }
};

struct Entry {
  std::string name;
  uint32_t loss = kNone;  // buffers, or kNone
  uint32_t norm = kNone;
  uint32_t output = kNone;
  bool updates = false;  // advances the parameters
  std::vector<OpCall> ops;
};

struct Program {
  int64_t tokens = 0;     // capacity T
  int64_t sequences = 0;  // capacity B
  uint64_t seed = 0;
  int64_t parameters = 0;  // floats of the flat buffer
  int64_t arena_bytes = 0;
  // Bytes that belong to nobody behind every activation and every tensor of the flat buffers; 0 except in tests, where
  // each op is watched: see guards.h.
  int64_t guard_bytes = 0;
  std::vector<Buffer> buffers;
  std::vector<Entry> entries;

  // Reads the bytes and everything that can be told from them alone: sizes, ranges, dtypes, operand counts.
  // Throws ERR_PROGRAM naming op and operand.
  static Program decode(std::span<const std::byte> bytes);

  // Number of the entry of that name; throws ERR_PROGRAM listing the names there are.
  size_t entry_index(const std::string& name) const;
};

}  // namespace oa
