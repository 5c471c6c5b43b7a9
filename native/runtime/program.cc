#include "runtime/program.h"

#include <cstring>

#include "base/error.h"
#include "runtime/validate.h"

namespace oa {
namespace {

[[noreturn]] void fail(const std::string& what) { throw Error("ERR_PROGRAM", "the program " + what); }

// Words one after the other; every read is checked.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint32_t word() {
    if (bytes_.size() - at_ < 4) fail("ends too early, at byte " + std::to_string(at_));
    uint32_t value;
    std::memcpy(&value, bytes_.data() + at_, 4);
    at_ += 4;
    return value;
  }

  uint64_t long_word() {
    const uint64_t low = word();
    return low | static_cast<uint64_t>(word()) << 32;
  }

  // A count of things that take at least `words` words each: a wrong count cannot make us allocate without bounds.
  uint32_t count(uint32_t words) {
    const uint32_t value = word();
    check_count(value, words);
    return value;
  }

  void check_count(uint32_t value, uint32_t words) const {
    if (uint64_t{value} * words * 4 > bytes_.size() - at_) {
      fail("announces " + std::to_string(value) + " items where its bytes end");
    }
  }

  void take_strings(uint32_t bytes) {
    if (bytes % 4 != 0 || bytes > bytes_.size() - at_)
      fail("has a string table of " + std::to_string(bytes) + " bytes");
    strings_ = bytes_.subspan(at_, bytes);
    at_ += bytes;
  }

  std::string string() {
    const uint64_t offset = word();
    const uint64_t length = word();
    if (offset + length > strings_.size()) fail("names a string outside of its table");
    return {reinterpret_cast<const char*>(strings_.data()) + offset, static_cast<size_t>(length)};
  }

  bool done() const { return at_ == bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  std::span<const std::byte> strings_;
  size_t at_ = 0;
};

constexpr int64_t kMaxCapacity = int64_t{1} << 30;

Dim read_dim(Reader& reader) {
  const uint32_t kind = reader.word();
  const uint32_t value = reader.word();
  if (kind > static_cast<uint32_t>(Dim::Kind::sequences_plus_one)) fail("has a dimension of an unknown kind");
  if (value >= kMaxCapacity) fail("has a dimension of " + std::to_string(value));
  return {static_cast<Dim::Kind>(kind), value};
}

Buffer read_buffer(Reader& reader) {
  Buffer buffer;
  const uint32_t storage = reader.word(), dtype = reader.word(), form = reader.word(), rank = reader.word();
  if (storage > static_cast<uint32_t>(Storage::working)) fail("has a buffer of an unknown storage");
  if (dtype > static_cast<uint32_t>(DType::bf16)) fail("has a buffer of an unknown dtype");
  if (form > static_cast<uint32_t>(Form::packed_transposed)) fail("has a buffer of an unknown form");
  if (rank > 3) fail("has a buffer of rank " + std::to_string(rank) + "; at most 3 are allowed");
  buffer.storage = static_cast<Storage>(storage);
  buffer.dtype = static_cast<DType>(dtype);
  buffer.form = static_cast<Form>(form);
  buffer.rank = static_cast<int32_t>(rank);
  for (Dim& dim : buffer.dims) dim = read_dim(reader);
  buffer.offset = reader.long_word();
  buffer.key = reader.string();
  return buffer;
}

std::vector<uint32_t> read_words(Reader& reader) {
  std::vector<uint32_t> words(reader.count(1));
  for (uint32_t& word : words) word = reader.word();
  return words;
}

OpCall read_op(Reader& reader) {
  OpCall op;
  const uint32_t code = reader.word();
  op.name = reader.string();
  op.info = find_op(code);
  if (!op.info) fail("has an op of unknown code " + std::to_string(code) + ", \"" + op.name + "\"; rebuild the addon");
  op.operands = read_words(reader);
  op.attributes = read_words(reader);
  return op;
}

Entry read_entry(Reader& reader) {
  Entry entry;
  entry.name = reader.string();
  entry.loss = reader.word();
  entry.norm = reader.word();
  entry.output = reader.word();
  entry.updates = reader.word() != 0;
  entry.ops.resize(reader.count(5));
  for (OpCall& op : entry.ops) op = read_op(reader);
  return entry;
}

}  // namespace

Program Program::decode(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  if (reader.word() != kProgramMagic) fail("does not start with its magic number");
  if (const uint32_t version = reader.word(); version != kProgramVersion) {
    fail("has format version " + std::to_string(version) + ", expected " + std::to_string(kProgramVersion));
  }
  if (const uint32_t length = reader.word(); length != bytes.size()) {
    fail("announces " + std::to_string(length) + " bytes, got " + std::to_string(bytes.size()));
  }
  Program program;
  program.tokens = reader.word();
  program.sequences = reader.word();
  program.seed = reader.long_word();
  program.parameters = reader.word();
  const uint64_t arena_bytes = reader.long_word();
  program.guard_bytes = reader.word();
  if (program.tokens >= kMaxCapacity || program.sequences >= kMaxCapacity) fail("has a capacity that is too large");
  if (arena_bytes >= uint64_t{1} << 46) fail("asks for an arena of " + std::to_string(arena_bytes) + " bytes");
  program.arena_bytes = static_cast<int64_t>(arena_bytes);
  const uint32_t buffers = reader.word();
  const uint32_t entries = reader.word();
  reader.take_strings(reader.word());
  reader.check_count(buffers, 14);
  program.buffers.resize(buffers);
  for (Buffer& buffer : program.buffers) buffer = read_buffer(reader);
  reader.check_count(entries, 7);
  program.entries.resize(entries);
  for (Entry& entry : program.entries) entry = read_entry(reader);
  if (!reader.done()) fail("has bytes behind its end");
  validate(program);
  return program;
}

size_t Program::entry_index(const std::string& name) const {
  std::string known;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].name == name) return i;
    known += (i ? ", " : "") + entries[i].name;
  }
  throw Error("ERR_PROGRAM", "the program has no entry \"" + name + "\"; it has: " + known);
}

}  // namespace oa
