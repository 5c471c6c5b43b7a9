// The one exception of the native code. It crosses to JavaScript once, in napi/errors.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace oa {

class Error : public std::runtime_error {
 public:
  using Details = std::vector<std::pair<std::string, std::string>>;

  // `code` is stable ("ERR_PROGRAM"); `details` become properties of the JavaScript error's `details`.
  Error(std::string code, const std::string& message, Details details = {})
      : std::runtime_error(message), code_(std::move(code)), details_(std::move(details)) {}

  const std::string& code() const { return code_; }
  const Details& details() const { return details_; }

 private:
  std::string code_;
  Details details_;
};

}  // namespace oa
