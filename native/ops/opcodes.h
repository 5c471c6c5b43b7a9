// The one native list of ops. OP(code, name, operands, attributes)
//
// operands: "outputs <- inputs"; `?` marks an optional one, `:i32` a dtype other than f32. Where f32 may be bf16 on a
// GPU: the `:narrow` operands of a call, all or none, and each `:any` operand where those are, or where there are none.
// The order is the order of operands in a program's op call. attributes: one 32-bit word each, in order. lib/ops holds
// the same table; the two are compared when the addon loads.
//
// Adding an op: one line here, <op>.h and <op>_cpu.cc beside it, lib/ops/<op>.ts, test/ops/<op>.test.ts.
#pragma once

// clang-format off
#define OA_FOR_EACH_OP(OP)                                                                                            \
  OP(1, embedding, "y:narrow <- ids:i32 types?:i32 cu:i32 word:narrow position?:narrow token_type?:narrow", "position_offset:i32")\
  OP(2, embedding_backward, "d_word? d_position? d_token_type? <- dy:narrow ids:i32 types?:i32 cu:i32",               \
     "position_offset:i32")                                                                                           \
  OP(3, layer_norm, "y:narrow xhat?:narrow rstd? <- x:narrow gamma beta", "epsilon:f32")                              \
  OP(4, layer_norm_backward, "dx?:narrow d_gamma? d_beta? <- dy:narrow xhat:narrow rstd gamma", "")                   \
  OP(5, residual_layer_norm, "y:narrow xhat?:narrow rstd? <- x residual:narrow gamma beta", "epsilon:f32 dropout:f32 rng:u32")\
  OP(6, residual_layer_norm_backward, "dx?:narrow d_residual?:narrow d_gamma? d_beta? <- dy:narrow xhat:narrow rstd gamma",\
     "dropout:f32 rng:u32")                                                                                           \
  OP(7, linear, "y:any derivative?:narrow <- x:narrow w:narrow b?", "activation:i32")                                 \
  OP(8, linear_dx, "dx:narrow <- dy:any w:narrow other?:narrow", "epilogue:i32")                                      \
  OP(9, linear_dw, "dw? db? <- dy:any x?:narrow", "")                                                                 \
  OP(10, attention, "y:narrow lse? <- qkv:narrow cu:i32", "heads:i32 scale:f32 dropout:f32 rng:u32 max_length:i32")   \
  OP(11, attention_backward, "d_qkv:narrow <- dy:narrow qkv:narrow lse cu:i32",                                       \
     "heads:i32 scale:f32 dropout:f32 rng:u32 max_length:i32")                                                        \
  OP(12, adapter, "y:narrow xhat?:narrow rstd? z?:narrow <- x residual:narrow down_w:narrow down_b up_w:narrow up_b gamma beta",\
     "activation:i32 epsilon:f32 dropout:f32 rng:u32")                                                                \
  OP(13, adapter_backward,                                                                                            \
     "dx?:narrow d_residual?:narrow d_down_w? d_down_b? d_up_w? d_up_b? d_gamma? d_beta? <- dy:narrow x:narrow z:narrow xhat:narrow rstd down_w:narrow up_w:narrow gamma",\
     "activation:i32 dropout:f32 rng:u32")                                                                            \
  OP(14, dropout, "y:narrow <- x:narrow", "dropout:f32 rng:u32")                                                      \
  OP(15, add, "y:narrow <- a:narrow b:narrow", "")                                                                    \
  OP(16, mul, "y:narrow <- a:narrow b:narrow", "")                                                                    \
  OP(17, pool, "y:narrow <- x:narrow cu:i32", "mode:i32")                                                             \
  OP(18, pool_backward, "dx:narrow <- dy:narrow cu:i32", "mode:i32")                                                  \
  OP(19, cross_entropy, "loss <- logits labels:i32", "")                                                              \
  OP(20, cross_entropy_backward, "d_logits <- logits labels:i32", "")                                                 \
  OP(21, mse, "loss <- prediction labels", "")                                                                        \
  OP(22, mse_backward, "d_prediction <- prediction labels", "")                                                       \
  OP(23, bce, "loss <- logits labels", "")                                                                            \
  OP(24, bce_backward, "d_logits <- logits labels", "")                                                               \
  OP(25, span, "loss <- logits labels:i32 cu:i32", "")                                                                \
  OP(26, span_backward, "d_logits <- logits labels:i32 cu:i32", "")                                                   \
  OP(27, grad_norm, "norm <- gradients", "")                                                                          \
  OP(28, adamw, "parameters moment1 moment2 <- gradients norm",                                                       \
     "beta1:f32 beta2:f32 epsilon:f32 weight_decay:f32 clip_norm:f32 bias_correction:i32 decayed:i32")                \
  OP(29, cast, "y:any <- x:any", "")
// clang-format on
