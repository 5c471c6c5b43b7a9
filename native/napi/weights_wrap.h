// The JavaScript class `Weights`.
#pragma once

#include <napi.h>

#include <memory>

#include "napi/job_thread.h"
#include "runtime/weights.h"

namespace oa {

class WeightsWrap : public Napi::ObjectWrap<WeightsWrap> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit WeightsWrap(const Napi::CallbackInfo& info);
  void Finalize(Napi::BasicEnv env) override;

  std::shared_ptr<Weights> weights() const { return weights_; }

 private:
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value has(const Napi::CallbackInfo& info);
  Napi::Value hash(const Napi::CallbackInfo& info);
  Napi::Value bytes(const Napi::CallbackInfo& info);

  std::shared_ptr<Weights> weights_;
  std::unique_ptr<JobThread> thread_;
  int64_t reported_ = 0;  // bytes that the garbage collector was told of
};

}  // namespace oa
