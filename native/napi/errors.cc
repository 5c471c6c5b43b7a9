#include "napi/errors.h"

#include <algorithm>
#include <cctype>
#include <new>

namespace oa {
namespace {

// Details are kept as text; numbers come out as numbers.
Napi::Value detail_value(Napi::Env env, const std::string& text) {
  const size_t digits = !text.empty() && text[0] == '-' ? 1 : 0;
  const bool number = text.size() > digits && text.size() < 16 &&
                      std::all_of(text.begin() + digits, text.end(), [](unsigned char c) { return std::isdigit(c); });
  if (number) return Napi::Number::New(env, std::stod(text));
  return Napi::String::New(env, text);
}

}  // namespace

Failure to_failure(std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return {error.code(), error.what(), error.details()};
  } catch (const std::bad_alloc&) {
    return {"ERR_MEMORY", "out of memory in native code", {}};
  } catch (const std::exception& error) {
    return {"ERR_NATIVE", error.what(), {}};
  } catch (...) {
    return {"ERR_NATIVE", "an unknown error in native code", {}};
  }
}

Napi::Error to_js(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.message);
  Napi::Object details = Napi::Object::New(env);
  for (const auto& [key, text] : failure.details) details.Set(key, detail_value(env, text));
  error.Set("code", Napi::String::New(env, failure.code));
  error.Set("details", details);
  return error;
}

}  // namespace oa
