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

// Empty when the case passed, else what went wrong, in one line.
std::string replay(const RecordedCase& recorded, const std::shared_ptr<const Device>& device,
                   const ReplayOptions& options);

}  // namespace oa
