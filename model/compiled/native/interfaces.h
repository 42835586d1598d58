// SPDX-License-Identifier: MIT
// What the plain C functions call, for float and double alike.
#ifndef LAMPLIGHTER_INTERFACES_H
#define LAMPLIGHTER_INTERFACES_H

#include <memory>

#include "compiled_abi.h"
#include "tables.h"

namespace lamplighter {

class EvaluationBase {
 public:
  virtual ~EvaluationBase() = default;
  virtual void begin(const lamplighter_atoms &) = 0;
  virtual void forward(int layer) = 0;
  virtual void backward(int layer) = 0;
  virtual int64_t width(int layer) const = 0;
  virtual void *rows(int layer) = 0;
  virtual void *gradients(int layer) = 0;
  virtual const double *energies() const = 0;
  virtual const double *pair_gradients() const = 0;
  virtual int64_t bytes() const = 0;
};

class PotentialBase {
 public:
  virtual ~PotentialBase() = default;
  virtual std::unique_ptr<EvaluationBase> evaluation(int threads,
                                                     bool deterministic) const = 0;
};

std::unique_ptr<PotentialBase> build_float(const Tables &);
std::unique_ptr<PotentialBase> build_double(const Tables &);

}  // namespace lamplighter
#endif
