// What changes from step to step.
#pragma once

#include <cstdint>

namespace oa {

// `step` counts optimizer steps from 0; AdamW's t is step + 1. The seed is the key of every random stream.
struct StepScalars {
  float learning_rate = 0;
  uint32_t step = 0;
  uint64_t seed = 0;
  // B of the batch itself: a device may bind its ops to rounded-up shapes.
  int32_t sequences = 0;
};

}  // namespace oa
