// What this CPU can run, asked once.
#pragma once

#include <string>
#include <string_view>

namespace oa {

struct CpuFeatures {
  bool avx2 = false;    // AVX2, FMA and F16C, and the operating system saves the ymm registers
  bool avx512 = false;  // AVX-512 F, BW, DQ, VL on top of that, and the zmm and mask registers are saved
  bool neon = false;    // arm64 always has it
  std::string model;    // "AMD EPYC", "Apple M2"; "unknown" where the system does not tell
};

// The one cached description; safe to call from any thread.
const CpuFeatures& cpu_features();

// Whether kernels of this instruction set ("scalar", "avx2", "avx512", "avx512_as_avx2", "neon") run on this CPU.
bool cpu_supports(std::string_view isa);

}  // namespace oa
