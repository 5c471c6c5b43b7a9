// Runs one recorded case and says what differs.
#pragma once

#include <memory>
#include <string>

#include "replay/recording.h"
#include "runtime/device.h"

namespace oa {

struct ReplayOptions {
  int threads = 1;
  int repeat = 1;
  bool count_allocations = false;
};

struct ReplayResult {
  std::string problem;  // empty when the case passed, else what went wrong, in one line
  // Of the value that came nearest to its tolerance, or went furthest beyond it.
  double error = 0;
  double budget = 0;
};

ReplayResult replay(const RecordedCase& recorded, const std::shared_ptr<const Device>& device,
                    const ReplayOptions& options);

}  // namespace oa
