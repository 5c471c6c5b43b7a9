// oa_selftest: prints what failed, then `N passed, N failed`.
#include <cstdio>
#include <exception>

#include "base/error.h"
#include "check.h"

namespace oa::selftest {
namespace {

int passed = 0;
int failed = 0;
bool current_good = true;

}  // namespace

void check(bool good, const char* what, const char* file, int line) {
  if (good) return;
  current_good = false;
  std::printf("  %s:%d: %s is false\n", file, line, what);
}

void run(const std::string& name, const std::function<void()>& body) {
  current_good = true;
  try {
    body();
  } catch (const std::exception& error) {
    current_good = false;
    std::printf("  unexpected: %s\n", error.what());
  }
  ++(current_good ? passed : failed);
  if (!current_good) std::printf("FAILED %s\n", name.c_str());
}

std::string error_code(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

}  // namespace oa::selftest

int main() {
  using namespace oa::selftest;
  test_base();
  test_weights();
  test_program();
  test_session();
  test_guards();
#ifdef OA_CUDA_STANDIN
  test_cuda_blocks();
  test_cuda_tensor();
  test_cuda_runtime();
  test_cuda_products();
  test_cuda_guards();
  test_cuda_attention();
  test_cuda_adapter_tensor();
#endif
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 ? 1 : 0;
}
