// How native errors reach JavaScript: a job keeps one as a Failure, the JavaScript thread makes an Error of it with
// `code` and `details`.
#pragma once

#include <napi.h>

#include <exception>
#include <string>

#include "base/error.h"

namespace oa {

struct Failure {
  std::string code;
  std::string message;
  Error::Details details;
};

// What the exception says; std::bad_alloc becomes ERR_MEMORY, anything foreign ERR_NATIVE.
Failure to_failure(std::exception_ptr exception);

// An Error object with `code` and `details` (strings; whole numbers become numbers).
Napi::Error to_js(Napi::Env env, const Failure& failure);

// Runs f and turns an oa::Error or std exception into a JavaScript exception; for synchronous calls.
template <class F>
auto guarded(Napi::Env env, F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_js(env, to_failure(std::current_exception()));
  }
}

}  // namespace oa
