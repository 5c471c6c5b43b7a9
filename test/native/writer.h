// Writes small programs by hand, as lib/plan/encode.ts would.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "runtime/batch.h"
#include "runtime/program.h"

namespace oa::selftest {

class ProgramWriter {
 public:
  int64_t tokens = 8, sequences = 4, parameters = 0, arena_bytes = 0, guard_bytes = 0;

  // Returns the buffer's number. Activations are placed one after the other.
  uint32_t buffer(Storage storage, std::vector<Dim> dims, uint64_t offset = 0, DType dtype = DType::f32,
                  Form form = Form::raw, const std::string& key = "") {
    int64_t elements = 1;
    for (const Dim& dim : dims) elements *= dim.bind(tokens, sequences);
    if (storage == Storage::activation) {
      offset = static_cast<uint64_t>(arena_bytes);
      arena_bytes += (elements * 4 + 63) / 64 * 64 + guard_bytes;
    }
    const auto rank = static_cast<uint32_t>(dims.size());
    words(buffers_, {static_cast<uint32_t>(storage), static_cast<uint32_t>(dtype), static_cast<uint32_t>(form), rank});
    dims.resize(3);
    for (const Dim& dim : dims) {
      words(buffers_, {static_cast<uint32_t>(dim.kind), static_cast<uint32_t>(dim.value)});
    }
    words(buffers_, {static_cast<uint32_t>(offset), static_cast<uint32_t>(offset >> 32)});
    string(buffers_, key);
    return buffer_count_++;
  }

  uint32_t input(Input which, std::vector<Dim> dims, DType dtype = DType::i32) {
    return buffer(Storage::input, std::move(dims), static_cast<uint64_t>(which), dtype);
  }

  void entry(const std::string& name, uint32_t loss, uint32_t norm, uint32_t output, uint32_t ops,
             bool updates = false) {
    string(entries_, name);
    words(entries_, {loss, norm, output, updates ? 1u : 0u, ops});
    ++entry_count_;
  }

  void op(const char* name, const std::vector<uint32_t>& operands, const std::vector<uint32_t>& attributes = {}) {
    uint32_t code = 0;
    for (const OpInfo& info : op_infos()) code = info.name == name ? info.code : code;
    words(entries_, {code});
    string(entries_, std::string("test.") + name);
    words(entries_, {static_cast<uint32_t>(operands.size())});
    words(entries_, operands);
    words(entries_, {static_cast<uint32_t>(attributes.size())});
    words(entries_, attributes);
  }

  std::vector<std::byte> bytes() const {
    std::string text = strings_;
    text.resize((text.size() + 3) / 4 * 4);
    std::vector<uint32_t> all = {kProgramMagic,
                                 kProgramVersion,
                                 0,
                                 static_cast<uint32_t>(tokens),
                                 static_cast<uint32_t>(sequences),
                                 1,
                                 2,
                                 static_cast<uint32_t>(parameters),
                                 static_cast<uint32_t>(arena_bytes),
                                 0,
                                 static_cast<uint32_t>(guard_bytes),
                                 buffer_count_,
                                 entry_count_,
                                 static_cast<uint32_t>(text.size())};
    const size_t head = all.size();
    all.resize(head + text.size() / 4);
    if (!text.empty()) std::memcpy(all.data() + head, text.data(), text.size());
    all.insert(all.end(), buffers_.begin(), buffers_.end());
    all.insert(all.end(), entries_.begin(), entries_.end());
    all[2] = static_cast<uint32_t>(all.size() * 4);
    std::vector<std::byte> result(all.size() * 4);
    std::memcpy(result.data(), all.data(), result.size());
    return result;
  }

 private:
  static void words(std::vector<uint32_t>& to, const std::vector<uint32_t>& values) {
    to.insert(to.end(), values.begin(), values.end());
  }
  void string(std::vector<uint32_t>& to, const std::string& text) {
    words(to, {static_cast<uint32_t>(strings_.size()), static_cast<uint32_t>(text.size())});
    strings_ += text;
  }

  std::string strings_;
  std::vector<uint32_t> buffers_, entries_;
  uint32_t buffer_count_ = 0, entry_count_ = 0;
};

inline Dim fixed(int64_t n) { return {Dim::Kind::constant, n}; }
inline Dim per_token() { return {Dim::Kind::tokens, 0}; }
inline Dim per_sequence() { return {Dim::Kind::sequences, 0}; }
inline Dim cumulative() { return {Dim::Kind::sequences_plus_one, 0}; }

// A batch of one sequence: ids of `count` tokens and cu = {0, count}, which must outlive it.
inline Batch one_sequence(const int32_t* ids, const int32_t* cu, int64_t count) {
  Batch batch;
  batch.ids = ids;
  batch.ids_count = count;
  batch.cu = cu;
  batch.cu_count = 2;
  return batch;
}

}  // namespace oa::selftest
