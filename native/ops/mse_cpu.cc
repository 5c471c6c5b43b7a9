#include "ops/mse.h"

#include "ops/shapes.h"

namespace oa::OA_ISA {

namespace {

const char* check_operands(const Call& call) {
  const Operand& prediction = call[1];
  if (!(prediction.rank == 1 || is_matrix(prediction, prediction.shape[0], 1))) return "prediction must be [B, 1]";
  if (call[2].size() != prediction.size()) return "labels must be [B], one for every prediction";
  return nullptr;
}

}  // namespace

const char* check_mse(const Call& call) {
  return is_scalar(call[0]) ? check_operands(call) : "loss must be a single number";
}

int64_t scratch_mse(const Call&) { return 0; }

// One number per sequence: too little to hand to other threads.
void run_mse(const Call& call) {
  const MseCall m(call);
  double sum = 0;
  for (int64_t i = 0; i < m.size; ++i) {
    const double difference = static_cast<double>(m.prediction[i]) - static_cast<double>(m.labels[i]);
    sum += difference * difference;
  }
  *m.output = m.size > 0 ? static_cast<float>(sum / static_cast<double>(m.size)) : 0.0f;
}

const char* check_mse_backward(const Call& call) {
  return same_shape(call[0], call[1]) ? check_operands(call) : "d_prediction must have the shape of prediction";
}

int64_t scratch_mse_backward(const Call&) { return 0; }

void run_mse_backward(const Call& call) {
  const MseCall m(call);
  for (int64_t i = 0; i < m.size; ++i) {
    const double difference = static_cast<double>(m.prediction[i]) - static_cast<double>(m.labels[i]);
    m.output[i] = static_cast<float>(2 * difference / static_cast<double>(m.size));
  }
}

}  // namespace oa::OA_ISA
