// Cuts an op's scratch into 64-byte aligned pieces. With a null base it only counts, so one function both measures
// and lays out. Included by code compiled per instruction set (OA_ISA defined).
#pragma once

#include <cstdint>

#include "ops/chunks.h"

namespace oa::OA_ISA {

class Scratch {
 public:
  explicit Scratch(char* base) : base_(base) {}

  float* floats(int64_t n) {
    char* piece = base_ ? base_ + bytes_ : nullptr;
    bytes_ += align_scratch(n * static_cast<int64_t>(sizeof(float)));
    return reinterpret_cast<float*>(piece);
  }

  int64_t bytes() const { return bytes_; }

 private:
  char* base_;
  int64_t bytes_ = 0;
};

// Floats of a row rounded up to a cache line, so that the next row or slot starts on one.
inline int64_t align_floats(int64_t n) { return (n + 15) & ~int64_t{15}; }

}  // namespace oa::OA_ISA
