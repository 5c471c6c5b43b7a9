// Recorded cases as files hold them; the format is in native/README.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "runtime/weights.h"

namespace oa {

struct RecordedPart {
  std::vector<float> f32;
  std::vector<uint16_t> half;
  int64_t rows = 0;
  bool transposed = false;
};

struct RecordedWeight {
  WeightEntry entry;  // parts point into `parts`
  std::vector<RecordedPart> parts;
};

struct RecordedPreset {
  Storage slot = Storage::parameter;
  std::vector<float> values;
};

struct RecordedCheck {
  enum class Target : uint32_t { loss = 0, norm = 1, output = 2, slot = 3, buffer = 4 };
  Target target = Target::loss;
  uint32_t index = 0;
  float absolute = 0;
  float relative = 0;
  std::vector<float> expected;
};

struct RecordedStep {
  std::string entry;
  float learning_rate = 0;
  uint32_t step = 0;
  std::vector<int32_t> ids, types, cu;
  uint32_t labels_kind = 0;  // 0 none, 1 i32, 2 f32
  std::vector<uint32_t> labels;
  std::vector<RecordedCheck> checks;
};

struct RecordedCase {
  std::string name;
  std::vector<std::byte> program;
  std::vector<RecordedWeight> weights;
  std::vector<RecordedPreset> presets;
  std::vector<RecordedStep> steps;
};

// Throws ERR_RECORDING naming the file and what is wrong with it.
std::vector<RecordedCase> read_recording(const std::string& path);

}  // namespace oa
