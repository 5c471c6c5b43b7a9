// The addon's front door: describe(), Weights, Session. lib/runtime/native-types.ts mirrors it.
#include "napi/addon.h"

#include <span>
#include <string>

#include "base/cpu_features.h"
#include "napi/session_wrap.h"
#include "napi/weights_wrap.h"
#include "ops/registry.h"
#include "runtime/cuda_device.h"
#include "runtime/machine.h"

namespace oa {
namespace {

Napi::Value describe_ops(Napi::Env env) {
  auto list = Napi::Array::New(env);
  for (const OpInfo& info : op_infos()) {
    auto op = Napi::Object::New(env);
    op.Set("code", static_cast<double>(info.code));
    op.Set("name", std::string(info.name));
    op.Set("operands", std::string(info.operands));
    op.Set("attributes", std::string(info.attributes));
    list.Set(list.Length(), op);
  }
  return list;
}

Napi::Value names(Napi::Env env, std::span<const std::string_view> values) {
  auto list = Napi::Array::New(env, values.size());
  for (size_t i = 0; i < values.size(); ++i) list.Set(static_cast<uint32_t>(i), std::string(values[i]));
  return list;
}

Napi::Value describe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto cuda = Napi::Object::New(env);
  const CudaDescription gpus = describe_cuda();
  cuda.Set("ok", gpus.ok);
  cuda.Set("reason", gpus.reason);
  cuda.Set("toolkit", gpus.toolkit);
  cuda.Set("driver", gpus.driver);
  cuda.Set("cublaslt", gpus.cublaslt);
  auto list = Napi::Array::New(env);
  for (const std::string& gpu : gpus.gpus) list.Set(list.Length(), gpu);
  cuda.Set("gpus", list);
  auto result = Napi::Object::New(env);
  result.Set("version", OA_VERSION);
  result.Set("ops", describe_ops(env));
  result.Set("isas", names(env, usable_isas()));
  result.Set("compiledIsas", names(env, compiled_isas()));
  result.Set("cpu", cpu_features().model);
  result.Set("threads", static_cast<double>(available_threads()));
  result.Set("cuda", cuda);
  return result;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData;  // Node deletes it with the environment
  const Napi::Function weights = WeightsWrap::define(env);
  const Napi::Function session = SessionWrap::define(env);
  data->weights = Napi::Persistent(weights);
  data->session = Napi::Persistent(session);
  env.SetInstanceData(data);
  exports.Set("describe", Napi::Function::New(env, describe, "describe"));
  exports.Set("Weights", weights);
  exports.Set("Session", session);
  return exports;
}

}  // namespace
}  // namespace oa

// The macro wants a plain name.
static Napi::Object init_onnx_adapters(Napi::Env env, Napi::Object exports) { return oa::init(env, exports); }

NODE_API_MODULE(onnx_adapters, init_onnx_adapters)
