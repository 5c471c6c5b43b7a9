// A minimal test runner for the native parts that no JavaScript test reaches alone.
#pragma once

#include <functional>
#include <string>

namespace oa::selftest {

// Counts; prints what failed, with its place.
void check(bool good, const char* what, const char* file, int line);

// Runs a test by name; an exception that escapes is a failure.
void run(const std::string& name, const std::function<void()>& body);

// The code of the oa::Error that f throws, "" when it throws none.
std::string error_code(const std::function<void()>& f);

// The tests of one file each.
void test_base();
void test_weights();
void test_program();
void test_session();
void test_guards();
// Of the stand-ins in test/native/cuda, in builds that have them.
void test_cuda_blocks();
void test_cuda_tensor();
void test_cuda_runtime();
void test_cuda_products();
void test_cuda_guards();
void test_cuda_attention();
void test_cuda_adapter_tensor();

}  // namespace oa::selftest

#define OA_CHECK(condition) ::oa::selftest::check(static_cast<bool>(condition), #condition, __FILE__, __LINE__)
