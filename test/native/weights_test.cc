#include <cstring>
#include <vector>

#include "base/dtype.h"
#include "check.h"
#include "runtime/weights.h"

namespace oa::selftest {
namespace {

constexpr int64_t kRows = 37;
constexpr int64_t kColumns = 19;

// Small whole numbers: exact as half floats too.
std::vector<float> matrix() {
  std::vector<float> values(kRows * kColumns);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(static_cast<int>(i * 37 % 101) - 50);
  return values;
}

std::vector<float> transpose(const std::vector<float>& values, int64_t rows, int64_t columns) {
  std::vector<float> result(values.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) result[c * rows + r] = values[r * columns + c];
  }
  return result;
}

// Whole numbers of at most 11 bits, by their bits.
std::vector<uint16_t> halves(const std::vector<float>& values) {
  std::vector<uint16_t> result;
  for (const float value : values) {
    uint16_t half = 0;
    while (half_to_float(half) != value) ++half;
    result.push_back(half);
  }
  return result;
}

WeightPart part_of(const std::vector<float>& values, int64_t rows, bool transposed) {
  return {values.data(), nullptr, static_cast<int64_t>(values.size()), rows, transposed};
}

std::vector<float> content(const Weights& weights, const std::string& key) {
  const Weight* weight = weights.find(key);
  const auto* const values = static_cast<const float*>(weight->data);
  return {values, values + weight->elements};
}

// However a weight comes in, every form of it is the same.
void forms_do_not_depend_on_the_source(const CpuBackend& backend) {
  const auto values = matrix();
  const auto flipped = transpose(values, kRows, kColumns);
  const auto half = halves(values);
  const int64_t cut = 11;
  const std::vector<float> top(values.begin(), values.begin() + cut * kColumns);
  const std::vector<float> rest(values.begin() + cut * kColumns, values.end());
  const auto rest_flipped = transpose(rest, kRows - cut, kColumns);
  for (const Form form : {Form::raw, Form::packed, Form::packed_transposed}) {
    Weights weights(cpu_device(backend));
    const auto load = [&](const char* key, std::vector<WeightPart> parts) {
      const WeightEntry entry{key, form, kRows, kColumns, std::move(parts)};
      weights.load({&entry, 1}, 2);
      return content(weights, key);
    };
    const auto expected = load("plain", {part_of(values, kRows, false)});
    OA_CHECK(load("transposed", {part_of(flipped, kRows, true)}) == expected);
    OA_CHECK(load("half", {{nullptr, half.data(), kRows * kColumns, kRows, false}}) == expected);
    OA_CHECK(load("parts", {part_of(top, cut, false), part_of(rest_flipped, kRows - cut, true)}) == expected);
    if (form == Form::raw) OA_CHECK(expected == values);
    OA_CHECK(reinterpret_cast<uintptr_t>(weights.find("parts")->data) % 64 == 0);
  }
}

void hash_sees_every_bit() {
  const auto values = matrix();
  const WeightEntry entry{"w|0", Form::raw, kRows, kColumns, {part_of(values, kRows, false)}};
  Weights weights(find_device(best_isa()));
  weights.load({&entry, 1}, 1);
  const std::string before = weights.hash();
  for (const size_t i : {size_t{0}, values.size() / 2, values.size() - 1}) {
    uint32_t bits;
    std::memcpy(&bits, static_cast<float*>(weights.find("w|0")->data) + i, 4);
    bits ^= 1;
    std::memcpy(static_cast<float*>(weights.find("w|0")->data) + i, &bits, 4);
    OA_CHECK(weights.hash() != before);
    bits ^= 1;
    std::memcpy(static_cast<float*>(weights.find("w|0")->data) + i, &bits, 4);
    OA_CHECK(weights.hash() == before);
  }
  OA_CHECK(weights.bytes() == kRows * kColumns * 4);
}

void malformed_entries_are_refused() {
  const auto values = matrix();
  Weights weights(find_device(best_isa()));
  const auto code = [&](const WeightEntry& entry) { return error_code([&] { weights.load({&entry, 1}, 1); }); };
  OA_CHECK(code({"w", Form::raw, kRows, kColumns, {part_of(values, kRows, false)}}) == "");
  OA_CHECK(code({"w", Form::raw, kRows, kColumns, {part_of(values, kRows, false)}}) == "ERR_WEIGHTS");
  OA_CHECK(code({"a", Form::raw, kRows + 1, kColumns, {part_of(values, kRows, false)}}) == "ERR_WEIGHTS");
  OA_CHECK(code({"b", Form::raw, kRows, kColumns + 1, {part_of(values, kRows, false)}}) == "ERR_WEIGHTS");
  OA_CHECK(code({"c", static_cast<Form>(7), kRows, kColumns, {part_of(values, kRows, false)}}) == "ERR_WEIGHTS");
  OA_CHECK(code({"d", Form::raw, 1, 1, {{nullptr, nullptr, 1, 1, false}}}) == "ERR_WEIGHTS");
  OA_CHECK(weights.find("a") == nullptr);
}

}  // namespace

void test_weights() {
  for (const auto isa : usable_isas()) {
    run("forms do not depend on the source, " + std::string(isa),
        [&] { forms_do_not_depend_on_the_source(*cpu_backend(isa)); });
  }
  run("the hash sees every bit", hash_sees_every_bit);
  run("malformed entries are refused", malformed_entries_are_refused);
}

}  // namespace oa::selftest
