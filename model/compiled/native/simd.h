// SPDX-License-Identifier: MIT
// Vectors of channels. Each instruction set is a library of its own, compiled from the
// same files with other flags: code that is shared between them, even of the standard
// library, could otherwise hold instructions that a machine does not have.
#ifndef LAMPLIGHTER_SIMD_H
#define LAMPLIGHTER_SIMD_H

#include <cstdint>

#if defined(__AVX512F__)
#define LAMPLIGHTER_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define LAMPLIGHTER_VECTOR_BYTES 32
#else
#define LAMPLIGHTER_VECTOR_BYTES 16
#endif

namespace lamplighter {

// Channels come in multiples of this, whatever the instruction set and the type.
constexpr int64_t kChannelUnit = 16;

template <typename Real> struct Vector;
template <> struct Vector<float> {
  typedef float type __attribute__((vector_size(LAMPLIGHTER_VECTOR_BYTES), aligned(4), may_alias));
};
template <> struct Vector<double> {
  typedef double type __attribute__((vector_size(LAMPLIGHTER_VECTOR_BYTES), aligned(8), may_alias));
};

template <typename Real> using Vec = typename Vector<Real>::type;
template <typename Real>
constexpr int64_t kLanes = LAMPLIGHTER_VECTOR_BYTES / static_cast<int64_t>(sizeof(Real));

template <typename Real> inline Vec<Real> &at(Real *p) {
  return *reinterpret_cast<Vec<Real> *>(p);
}
template <typename Real> inline const Vec<Real> &at(const Real *p) {
  return *reinterpret_cast<const Vec<Real> *>(p);
}
template <typename Real> inline Real total(const Vec<Real> &v) {
  Real sum = 0;
  for (int64_t k = 0; k < kLanes<Real>; ++k) sum += v[k];
  return sum;
}

}  // namespace lamplighter
#endif
