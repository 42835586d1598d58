// SPDX-License-Identifier: MIT
// Activation functions of unit second moment, and the gate of equation (11).
#ifndef LAMPLIGHTER_ACTIVATION_H
#define LAMPLIGHTER_ACTIVATION_H

#include <cmath>
#include <cstdint>

#include "exponential.h"

namespace lamplighter {

const double kSilu = 1.0 / std::sqrt(0.3557755198173522);
const double kSigmoid = 1.0 / std::sqrt(0.293379035858093);
const double kTanh = 1.0 / std::sqrt(0.39429449039746);

enum Activation { kActSilu = 0, kActTanh = 1, kActAbs = 2, kActNone = 3 };

struct Active {
  double value, slope;
};

inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// The activation of a readout and its derivative.
inline Active activate(int kind, double x) {
  switch (kind) {
    case kActSilu: {
      const double s = sigmoid(x);
      return {kSilu * x * s, kSilu * s * (1.0 + x * (1.0 - s))};
    }
    case kActTanh: {
      const double y = std::tanh(x);
      return {kTanh * y, kTanh * (1.0 - y * y)};
    }
    case kActAbs: return {std::fabs(x), x < 0.0 ? -1.0 : x > 0.0 ? 1.0 : 0.0};
    default: return {x, 1.0};
  }
}

// (11): SiLU of the scalars; every higher degree times the sigmoid of its gate. The
// degree 0 of a message holds, after its own channels, those of the gates.
template <typename Real>
void gate(const Real *message, int l_max, int64_t c, Real *out) {
  for (int64_t k = 0; k < c; k += kLanes<Real>) {
    const Vec<Real> x = at(message + k);
    at(out + k) = Real(kSilu) * x * sigmoid_of<Real>(x);
  }
  const Real *higher = message + c * (l_max + 1);
  Real *row = out + c;
  for (int l = 1; l <= l_max; ++l) {
    const int64_t n = 2 * l + 1;
    for (int64_t k = 0; k < c; k += kLanes<Real>) {
      const Vec<Real> open = Real(kSigmoid) * sigmoid_of<Real>(at(message + l * c + k));
      for (int64_t m = 0; m < n; ++m) at(row + m * c + k) = open * at(higher + m * c + k);
    }
    higher += n * c;
    row += n * c;
  }
}

// The derivative of `gate`: to the message, which is overwritten.
template <typename Real>
void gate_back(const Real *message, int l_max, int64_t c, const Real *dout,
               Real *dmessage) {
  for (int64_t k = 0; k < c; k += kLanes<Real>) {
    const Vec<Real> x = at(message + k), s = sigmoid_of<Real>(x);
    at(dmessage + k) = Real(kSilu) * s * (Real(1) + x * (Real(1) - s)) * at(dout + k);
  }
  const Real *higher = message + c * (l_max + 1), *row = dout + c;
  Real *back = dmessage + c * (l_max + 1);
  for (int l = 1; l <= l_max; ++l) {
    const int64_t n = 2 * l + 1;
    for (int64_t k = 0; k < c; k += kLanes<Real>) {
      const Vec<Real> s = sigmoid_of<Real>(at(message + l * c + k));
      const Vec<Real> open = Real(kSigmoid) * s;
      Vec<Real> sum{};
      for (int64_t m = 0; m < n; ++m) {
        const Vec<Real> given = at(row + m * c + k);
        at(back + m * c + k) = open * given;
        sum += given * at(higher + m * c + k);
      }
      at(dmessage + l * c + k) = open * (Real(1) - s) * sum;
    }
    higher += n * c;
    back += n * c;
    row += n * c;
  }
}

}  // namespace lamplighter
#endif
