// SPDX-License-Identifier: MIT
// Activation functions of unit second moment, and the gate of equation (11).
#ifndef LAMPLIGHTER_ACTIVATION_H
#define LAMPLIGHTER_ACTIVATION_H

#include <cmath>
#include <cstdint>

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
  for (int64_t k = 0; k < c; ++k)
    out[k] = Real(kSilu * message[k] * sigmoid(message[k]));
  const Real *higher = message + c * (l_max + 1);
  Real *row = out + c;
  for (int l = 1; l <= l_max; ++l) {
    const Real *gates = message + l * c;
    for (int64_t k = 0; k < c; ++k) {
      const Real open = Real(kSigmoid * sigmoid(gates[k]));
      for (int m = 0; m < 2 * l + 1; ++m) row[m * c + k] = open * higher[m * c + k];
    }
    higher += (2 * l + 1) * c;
    row += (2 * l + 1) * c;
  }
}

// The derivative of `gate`: to the message, which is overwritten.
template <typename Real>
void gate_back(const Real *message, int l_max, int64_t c, const Real *dout,
               Real *dmessage) {
  for (int64_t k = 0; k < c; ++k) {
    const double x = message[k], s = sigmoid(x);
    dmessage[k] = Real(kSilu * s * (1.0 + x * (1.0 - s)) * dout[k]);
  }
  const Real *higher = message + c * (l_max + 1), *row = dout + c;
  Real *back = dmessage + c * (l_max + 1);
  for (int l = 1; l <= l_max; ++l) {
    for (int64_t k = 0; k < c; ++k) {
      const double s = sigmoid(message[l * c + k]);
      Real sum = 0;
      for (int m = 0; m < 2 * l + 1; ++m) {
        back[m * c + k] = Real(kSigmoid * s) * row[m * c + k];
        sum += row[m * c + k] * higher[m * c + k];
      }
      dmessage[l * c + k] = Real(kSigmoid * s * (1.0 - s)) * sum;
    }
    higher += (2 * l + 1) * c;
    back += (2 * l + 1) * c;
    row += (2 * l + 1) * c;
  }
}

}  // namespace lamplighter
#endif
