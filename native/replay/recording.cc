#include "replay/recording.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <type_traits>

#include "base/error.h"

namespace oa {
namespace {

constexpr uint32_t kMagic = 0x4352414f;  // "OARC"
constexpr uint32_t kVersion = 1;

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) fail("cannot be opened");
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error("ERR_RECORDING", path_ + " " + what + ", at byte " + std::to_string(at_));
  }

  uint32_t word() { return scalar<uint32_t>(); }
  float real() { return scalar<float>(); }
  bool done() const { return at_ == bytes_.size(); }

  // `count` elements, then zeros up to a multiple of 4 bytes.
  template <class T>
  std::vector<T> elements(size_t count) {
    if (count > (bytes_.size() - at_) / sizeof(T)) fail("ends too early");
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), bytes_.data() + at_, count * sizeof(T));
    at_ += (count * sizeof(T) + 3) / 4 * 4;
    if (at_ > bytes_.size()) fail("ends too early");
    return values;
  }

  template <class T>
  std::vector<T> array() {
    return elements<T>(word());
  }

  std::string string() {
    const auto text = array<char>();
    return {text.begin(), text.end()};
  }

  // `make` for each of a counted list.
  template <class F>
  auto list(const F& make) {
    std::vector<std::invoke_result_t<F>> values;
    for (uint32_t left = word(); left > 0; --left) values.push_back(make());
    return values;
  }

 private:
  template <class T>
  T scalar() {
    if (bytes_.size() - at_ < sizeof(T)) fail("ends too early");
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  std::string path_;
  std::vector<char> bytes_;
  size_t at_ = 0;
};

RecordedPart read_part(Reader& reader) {
  RecordedPart part;
  const bool half = reader.word() == 1;
  part.rows = reader.word();
  part.transposed = reader.word() != 0;
  const uint32_t count = reader.word();
  if (half)
    part.half = reader.elements<uint16_t>(count);
  else
    part.f32 = reader.elements<float>(count);
  return part;
}

RecordedWeight read_weight(Reader& reader) {
  RecordedWeight weight;
  weight.entry.key = reader.string();
  const uint32_t kind = reader.word();
  weight.entry.form = static_cast<Form>(kind & 0xff);
  weight.entry.dtype = static_cast<DType>(kind >> 8);
  weight.entry.rows = reader.word();
  weight.entry.columns = reader.word();
  weight.parts = reader.list([&] { return read_part(reader); });
  return weight;
}

RecordedPreset read_preset(Reader& reader) {
  const uint32_t slot = reader.word();
  if (slot < 2 || slot > 5) reader.fail("presets an unknown slot");
  return {static_cast<Storage>(slot), reader.array<float>()};
}

RecordedCheck read_check(Reader& reader) {
  RecordedCheck check;
  check.target = static_cast<RecordedCheck::Target>(reader.word());
  check.index = reader.word();
  if (check.target == RecordedCheck::Target::slot && (check.index < 2 || check.index > 5)) {
    reader.fail("checks an unknown slot");
  }
  check.absolute = reader.real();
  check.relative = reader.real();
  check.expected = reader.array<float>();
  return check;
}

RecordedStep read_step(Reader& reader) {
  RecordedStep step;
  step.entry = reader.string();
  step.learning_rate = reader.real();
  step.step = reader.word();
  step.ids = reader.array<int32_t>();
  step.types = reader.array<int32_t>();
  step.cu = reader.array<int32_t>();
  step.labels_kind = reader.word();
  step.labels = reader.array<uint32_t>();
  step.checks = reader.list([&] { return read_check(reader); });
  return step;
}

RecordedCase read_case(Reader& reader) {
  RecordedCase result;
  result.name = reader.string();
  result.program = reader.array<std::byte>();
  result.weights = reader.list([&] { return read_weight(reader); });
  result.presets = reader.list([&] { return read_preset(reader); });
  result.steps = reader.list([&] { return read_step(reader); });
  return result;
}

// Entries point into their parts, so this comes when nothing moves any more.
void link_parts(RecordedCase& recorded) {
  for (RecordedWeight& weight : recorded.weights) {
    for (const RecordedPart& part : weight.parts) {
      const bool half = !part.half.empty();
      const auto elements = static_cast<int64_t>(half ? part.half.size() : part.f32.size());
      weight.entry.parts.push_back(
          {half ? nullptr : part.f32.data(), half ? part.half.data() : nullptr, elements, part.rows, part.transposed});
    }
  }
}

}  // namespace

std::vector<RecordedCase> read_recording(const std::string& path) {
  Reader reader(path);
  if (reader.word() != kMagic) reader.fail("is no recording of cases");
  if (reader.word() != kVersion) reader.fail("has another format version");
  auto cases = reader.list([&] { return read_case(reader); });
  if (!reader.done()) reader.fail("has bytes behind its end");
  for (RecordedCase& recorded : cases) link_parts(recorded);
  return cases;
}

}  // namespace oa
