// SPDX-License-Identifier: MIT
// The sigmoid of a vector of numbers.
#ifndef LAMPLIGHTER_EXPONENTIAL_H
#define LAMPLIGHTER_EXPONENTIAL_H

#include "simd.h"

namespace lamplighter {

// How exp(x) = 2^n exp(r) is computed, |r| <= ln 2 / 2: with so many terms of the series of
// exp(r), n in the low bits of x / ln 2 + kRound, and ln 2 in two parts of which the first
// has zeros at its end, so that n times it is exact.
template <typename Real> struct Exponent;
template <> struct Exponent<float> {
  typedef int32_t Integer;
  static constexpr int kTerms = 8, kMantissa = 23;
  static constexpr float kRound = 12582912.0f, kMost = 87.0f;
  static constexpr float kHigh = 0.693359375f, kLow = -2.12194440e-4f;
};
template <> struct Exponent<double> {
  typedef int64_t Integer;
  static constexpr int kTerms = 14, kMantissa = 52;
  static constexpr double kRound = 6755399441055744.0, kMost = 700.0;
  static constexpr double kHigh = 6.93147180369123816490e-1, kLow = 1.90821492927058770002e-10;
};

template <typename Real> inline Vec<Real> exponential(Vec<Real> x) {
  typedef Exponent<Real> E;
  typedef typename E::Integer Bits __attribute__((vector_size(LAMPLIGHTER_VECTOR_BYTES)));
  const Vec<Real> most = Vec<Real>{} + E::kMost;
  x = x > most ? most : x;
  x = x < -most ? -most : x;
  const Vec<Real> rounded = x * Real(1.4426950408889634) + E::kRound;
  const Vec<Real> n = rounded - E::kRound;
  const Vec<Real> r = (x - n * E::kHigh) - n * E::kLow;
  Vec<Real> sum = Vec<Real>{} + Real(1);
  for (int k = E::kTerms - 1; k > 0; --k) sum = sum * r * Real(1.0 / k) + Real(1);
  return (Vec<Real>)((Bits)sum + ((Bits)rounded << E::kMantissa));
}

template <typename Real> inline Vec<Real> sigmoid_of(Vec<Real> x) {
  return Real(1) / (Real(1) + exponential<Real>(-x));
}

}  // namespace lamplighter
#endif
