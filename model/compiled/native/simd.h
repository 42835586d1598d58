// SPDX-License-Identifier: MIT
// Vectors of channels. Each instruction set is a library of its own, compiled from the
// same files with other flags: code that is shared between them, even of the standard
// library, could otherwise hold instructions that a machine does not have.
#ifndef LAMPLIGHTER_SIMD_H
#define LAMPLIGHTER_SIMD_H

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

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
// The sum of n numbers, in pairs: neighbours in a vector are added side by side.
template <typename Real, int64_t N> inline Real total_of(const Real *v) {
  if constexpr (N == 1) {
    return v[0];
  } else {
    Real half[N / 2];
    for (int64_t k = 0; k < N / 2; ++k) half[k] = v[k] + v[k + N / 2];
    return total_of<Real, N / 2>(half);
  }
}
template <typename Real> inline Real total(const Vec<Real> &v) {
  Real numbers[kLanes<Real>];
  at(numbers) = v;
  return total_of<Real, kLanes<Real>>(numbers);
}

// Memory in which no vector of a row lies across two cache lines.
template <typename T> struct Aligned {
  typedef T value_type;
  static constexpr std::align_val_t kLine{64};
  Aligned() = default;
  template <typename Other> Aligned(const Aligned<Other> &) {}
  T *allocate(std::size_t n) {
    return static_cast<T *>(::operator new(n * sizeof(T), kLine));
  }
  void deallocate(T *p, std::size_t) { ::operator delete(p, kLine); }
  bool operator==(const Aligned &) const { return true; }
  bool operator!=(const Aligned &) const { return false; }
};
template <typename T> using Numbers = std::vector<T, Aligned<T>>;

}  // namespace lamplighter
#endif
