// The checks that make running a program safe: done once at create, so a step checks nothing but its batch.
#pragma once

#include "runtime/program.h"
#include "runtime/weights.h"

namespace oa {

// Checks a decoded program by itself: ranges, alignment, dtypes, operand counts, overlaps. Throws ERR_PROGRAM.
void validate(const Program& program);

// Checks that every frozen buffer is among the weights, in its form and shape. Throws ERR_PROGRAM naming the key.
void validate(const Program& program, const Weights& weights);

// The weight of a buffer. Throws ERR_PROGRAM naming the key where it is not there, or has another form or shape.
const Weight& find_weight(const Buffer& buffer, const Weights& weights);

}  // namespace oa
