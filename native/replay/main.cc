// oa_replay: runs recorded cases without Node, for sanitizers, qemu, callgrind. See native/README.md.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "replay/recording.h"
#include "replay/replay.h"

namespace {

constexpr const char* kUsage =
    "usage: oa_replay [--device NAME|all] [--threads N] [--repeat N] [--count-allocations] [--verbose] FILE...\n";

struct Arguments {
  std::vector<std::shared_ptr<const oa::Device>> devices;
  oa::ReplayOptions options;
  bool verbose = false;
  std::vector<std::string> files;
};

[[noreturn]] void usage() {
  std::fputs(kUsage, stderr);
  std::exit(2);
}

// A device by its name, or the CPU with each of its instruction sets.
std::vector<std::shared_ptr<const oa::Device>> choose_devices(const std::string& name) {
  std::vector<std::shared_ptr<const oa::Device>> devices;
  if (name != "all") return {oa::find_device(name)};
  for (const std::string_view isa : oa::usable_isas()) devices.push_back(oa::find_device(isa));
  return devices;
}

Arguments parse(int count, char** values) {
  Arguments arguments;
  std::string device(oa::best_isa());
  for (int i = 1; i < count; ++i) {
    const std::string argument = values[i];
    const auto next = [&]() -> std::string {
      if (i + 1 >= count) usage();
      return values[++i];
    };
    if (argument == "--device")
      device = next();
    else if (argument == "--threads")
      arguments.options.threads = std::atoi(next().c_str());
    else if (argument == "--repeat")
      arguments.options.repeat = std::atoi(next().c_str());
    else if (argument == "--count-allocations")
      arguments.options.count_allocations = true;
    else if (argument == "--verbose")
      arguments.verbose = true;
    else if (argument.starts_with("--"))
      usage();
    else
      arguments.files.push_back(argument);
  }
  if (arguments.files.empty() || arguments.options.threads < 1 || arguments.options.repeat < 1) usage();
  if (arguments.options.count_allocations && arguments.options.repeat < 2) arguments.options.repeat = 2;
  arguments.devices = choose_devices(device);
  return arguments;
}

}  // namespace

int main(int count, char** values) {
  int passed = 0, failed = 0;
  try {
    const Arguments arguments = parse(count, values);
    for (const std::string& file : arguments.files) {
      for (const oa::RecordedCase& recorded : oa::read_recording(file)) {
        for (const auto& device : arguments.devices) {
          const std::string problem = oa::replay(recorded, device, arguments.options);
          ++(problem.empty() ? passed : failed);
          if (problem.empty() && !arguments.verbose) continue;
          std::printf("%s %s (%s)%s%s\n", problem.empty() ? "ok    " : "FAILED", recorded.name.c_str(),
                      std::string(device->name()).c_str(), problem.empty() ? "" : ": ", problem.c_str());
        }
      }
    }
  } catch (const oa::Error& error) {
    std::fprintf(stderr, "oa_replay: %s\n", error.what());
    return 2;
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 ? 1 : 0;
}
