// Values of the `activation` attribute; the same numbers in lib/ops/define.ts.
#pragma once

#define OA_FOR_EACH_ACTIVATION(A) A(0, none) A(1, gelu_tanh) A(2, gelu) A(3, relu) A(4, silu) A(5, tanh)
