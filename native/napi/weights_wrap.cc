#include "napi/weights_wrap.h"

#include <algorithm>
#include <utility>

#include "napi/convert.h"
#include "napi/errors.h"
#include "runtime/machine.h"

namespace oa {
Napi::Function WeightsWrap::define(Napi::Env env) {
  return DefineClass(env, "Weights",
                     {InstanceMethod<&WeightsWrap::load>("load"), InstanceMethod<&WeightsWrap::has>("has"),
                      InstanceMethod<&WeightsWrap::hash>("hash"), InstanceMethod<&WeightsWrap::bytes>("bytes")});
}

WeightsWrap::WeightsWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<WeightsWrap>(info) {
  const std::string device = to_string(to_object(info[0], "options").Get("device"), "device");
  weights_ = guarded(info.Env(), [&] { return std::make_shared<Weights>(find_device(device)); });
}

void WeightsWrap::Finalize(Napi::BasicEnv env) {
  thread_.reset();
  Napi::MemoryManagement::AdjustExternalMemory(env, -reported_);
}

Napi::Value WeightsWrap::load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  EntryList list = to_weight_entries(info[0]);
  if (!thread_) thread_ = std::make_unique<JobThread>(env);
  list.keep.Set("weights", info.This());  // the job works on this object: keep it too
  auto entries = std::make_shared<std::vector<WeightEntry>>(std::move(list.entries));
  JobThread::Job job;
  job.keep = std::move(list.keep);
  job.work = [weights = weights_, entries] { weights->load(*entries, available_threads()); };
  job.value = [this](Napi::Env at) {
    Napi::MemoryManagement::AdjustExternalMemory(at, weights_->bytes() - reported_);
    reported_ = weights_->bytes();
    return at.Undefined();
  };
  return thread_->enqueue(env, std::move(job));
}

Napi::Value WeightsWrap::has(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), weights_->find(to_string(info[0], "key")) != nullptr);
}

Napi::Value WeightsWrap::hash(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), weights_->hash());
}

Napi::Value WeightsWrap::bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(weights_->bytes()));
}

}  // namespace oa
