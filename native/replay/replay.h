// Runs one recorded case and says what differs.
#pragma once

#include <string>

#include "ops/registry.h"
#include "replay/recording.h"

namespace oa {

struct ReplayOptions {
  int threads = 1;
  int repeat = 1;
  bool count_allocations = false;
};

// Empty when the case passed, else what went wrong, in one line.
std::string replay(const RecordedCase& recorded, const CpuBackend& backend, const ReplayOptions& options);

}  // namespace oa
