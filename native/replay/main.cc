// oa_replay: runs recorded cases without Node, for sanitizers, qemu, callgrind. See native/README.md.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "replay/recording.h"
#include "replay/replay.h"
#include "runtime/program.h"

namespace {

constexpr const char* kUsage =
    "usage: oa_replay [--device NAME|all] [--threads N] [--repeat N] [--count-allocations] [--verbose]\n"
    "                 [--report FILE] FILE...\n";

struct Arguments {
  std::vector<std::shared_ptr<const oa::Device>> devices;
  oa::ReplayOptions options;
  bool verbose = false;
  std::string report;  // a file of lines: case, device, largest error, its budget, the problem; separated by tabs
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
    else if (argument == "--report")
      arguments.report = next();
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

bool holds_bf16(const oa::RecordedCase& recorded) {
  const oa::Program program = oa::Program::decode(recorded.program);
  return std::any_of(program.buffers.begin(), program.buffers.end(),
                     [](const oa::Buffer& buffer) { return buffer.dtype == oa::DType::bf16; });
}

// Values in bf16 are for GPUs, in the precision of that name: the device that a case runs on, or null.
std::shared_ptr<const oa::Device> device_for(const oa::RecordedCase& recorded,
                                             const std::shared_ptr<const oa::Device>& device) {
  if (!holds_bf16(recorded)) return device;
  if (!device->is_remote()) return nullptr;
  const std::string name(device->name());
  return name.find('/') == std::string::npos ? oa::find_device(name + "/bfloat16") : device;
}

class Report {
 public:
  explicit Report(const std::string& file) : file_(file.empty() ? nullptr : std::fopen(file.c_str(), "w")) {
    if (!file.empty() && !file_) throw oa::Error("ERR_RECORDING", file + ": cannot be written");
  }
  ~Report() {
    if (file_) std::fclose(file_);
  }
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;
  void add(const std::string& name, std::string_view device, const oa::ReplayResult& result) {
    if (!file_) return;
    std::fprintf(file_, "%s\t%s\t%.3g\t%.3g\t%s\n", name.c_str(), std::string(device).c_str(), result.error,
                 result.budget, result.problem.c_str());
  }

 private:
  std::FILE* file_;
};

}  // namespace

int main(int count, char** values) {
  int passed = 0, failed = 0;
  try {
    const Arguments arguments = parse(count, values);
    Report report(arguments.report);
    for (const std::string& file : arguments.files) {
      for (const oa::RecordedCase& recorded : oa::read_recording(file)) {
        for (const auto& chosen : arguments.devices) {
          const auto device = device_for(recorded, chosen);
          if (!device) continue;
          const oa::ReplayResult result = oa::replay(recorded, device, arguments.options);
          const std::string& problem = result.problem;
          report.add(recorded.name, device->name(), result);
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
