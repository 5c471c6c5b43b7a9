// What the vector units can do when nothing holds them up: the roof that the rates of real work are held against.
#pragma once

#include <cstdint>

#include "base/thread_pool.h"

namespace oa::OA_ISA {

// Every thread of the pool runs `rounds` rounds of independent chains of fused multiply-adds, all in registers.
// Returns the floating-point operations of all threads, a multiply-add counting as two.
int64_t run_multiply_adds(ThreadPool& pool, int64_t rounds);

}  // namespace oa::OA_ISA
