// What the addon keeps for each JavaScript environment: worker threads have their own.
#pragma once

#include <napi.h>

namespace oa {

struct AddonData {
  Napi::FunctionReference weights;  // the classes
  Napi::FunctionReference session;
};

}  // namespace oa
