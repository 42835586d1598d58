// SPDX-License-Identifier: MIT
// The neighbour sum A = sum_j R (u_j x Y) of one pair, and what its derivative gives back.
// Pairs come in bundles (pairs.h): number k of a pair of a bundle is at k * kPairs.
#ifndef LAMPLIGHTER_EDGES_H
#define LAMPLIGHTER_EDGES_H

#include <algorithm>

#include "simd.h"

namespace lamplighter {

constexpr int64_t kPairs = kLanes<double>;

// Vectors of channels that share the factors of a pair; sums that fit into registers.
template <typename Real>
constexpr int64_t kAbreast = std::min<int64_t>(2, kChannelUnit / kLanes<Real>);
#if defined(__AVX512F__)
constexpr int kSums = 24;
#else
constexpr int kSums = 12;
#endif

// a[m3][c] += sum over m1 of T[m1][m3] R[c] u[m1][c].
template <typename Real, int N1, int N3>
void path_forward(int64_t channels, const Real *t, const Real *radial, const Real *u,
                  Real *a, int64_t a_stride) {
  constexpr int64_t lanes = kLanes<Real>, abreast = kAbreast<Real>;
  for (int64_t c = 0; c < channels; c += abreast * lanes) {
    Vec<Real> v[N1][abreast];
    for (int i = 0; i < N1; ++i)
      for (int64_t k = 0; k < abreast; ++k)
        v[i][k] = at(radial + c + k * lanes) * at(u + i * channels + c + k * lanes);
    for (int j = 0; j < N3; ++j) {
      Real *row = a + j * a_stride + c;
      Vec<Real> sum[abreast];
      for (int64_t k = 0; k < abreast; ++k) sum[k] = at(row + k * lanes);
      for (int i = 0; i < N1; ++i)
        for (int64_t k = 0; k < abreast; ++k)
          sum[k] += t[(i * N3 + j) * kPairs] * v[i][k];
      for (int64_t k = 0; k < abreast; ++k) at(row + k * lanes) = sum[k];
    }
  }
}

// What dE/dA = g gives back to T, for the degrees m3 from J on: dE/dT[m1][m3].
template <typename Real, int N1, int N3, int J>
void turned_back(int64_t channels, const Real *radial, const Real *u, const Real *g,
                 int64_t g_stride, Real *dt) {
  constexpr int most = kSums / N1 > 0 ? kSums / N1 : 1;
  constexpr int n = std::min(most, N3 - J);
  Vec<Real> sum[N1][n];
  for (int i = 0; i < N1; ++i)
    for (int j = 0; j < n; ++j) sum[i][j] = Vec<Real>{};
  for (int64_t c = 0; c < channels; c += kLanes<Real>) {
    Vec<Real> x[N1];
    for (int i = 0; i < N1; ++i) x[i] = at(radial + c) * at(u + i * channels + c);
    for (int j = 0; j < n; ++j) {
      const Vec<Real> gj = at(g + (J + j) * g_stride + c);
      for (int i = 0; i < N1; ++i) sum[i][j] += x[i] * gj;
    }
  }
  for (int i = 0; i < N1; ++i)
    for (int j = 0; j < n; ++j) at(dt + (i * N3 + J + j) * kLanes<Real>) = sum[i][j];
  if constexpr (J + n < N3)
    turned_back<Real, N1, N3, J + n>(channels, radial, u, g, g_stride, dt);
}

// What dE/dA = g gives back: to T (a vector of partial sums for each), to the radial
// weights (already times their derivative: one sum), and to the features.
template <typename Real, int N1, int N3>
void path_backward(int64_t channels, const Real *t, const Real *radial,
                   const Real *slope, const Real *u, const Real *g, int64_t g_stride,
                   Real *du, Real *dt, Real *dr) {
  constexpr int64_t lanes = kLanes<Real>, abreast = kAbreast<Real>;
  Vec<Real> sum_r = at(dr);
  for (int64_t c = 0; c < channels; c += abreast * lanes) {
    Vec<Real> back[N1][abreast];
    for (int i = 0; i < N1; ++i)
      for (int64_t k = 0; k < abreast; ++k) back[i][k] = Vec<Real>{};
    for (int j = 0; j < N3; ++j)
      for (int64_t k = 0; k < abreast; ++k) {
        const Vec<Real> gj = at(g + j * g_stride + c + k * lanes);
        for (int i = 0; i < N1; ++i) back[i][k] += t[(i * N3 + j) * kPairs] * gj;
      }
    for (int64_t k = 0; k < abreast; ++k) {
      const int64_t at_c = c + k * lanes;
      Vec<Real> dot{};
      for (int i = 0; i < N1; ++i) {
        dot += at(u + i * channels + at_c) * back[i][k];
        at(du + i * channels + at_c) += at(radial + at_c) * back[i][k];
      }
      sum_r += at(slope + at_c) * dot;
    }
  }
  at(dr) = sum_r;
  turned_back<Real, N1, N3, 0>(channels, radial, u, g, g_stride, dt);
}

// The same for l2 = 0, where T is one number times the unit matrix and does not change
// with the direction: `dt` stays as it is.
template <typename Real, int N>
void same_forward(int64_t channels, const Real *t, const Real *radial, const Real *u,
                  Real *a, int64_t a_stride) {
  for (int64_t c = 0; c < channels; c += kLanes<Real>) {
    const Vec<Real> weight = t[0] * at(radial + c);
    for (int i = 0; i < N; ++i) at(a + i * a_stride + c) += weight * at(u + i * channels + c);
  }
}

template <typename Real, int N>
void same_backward(int64_t channels, const Real *t, const Real *radial,
                   const Real *slope, const Real *u, const Real *g, int64_t g_stride,
                   Real *du, Real *, Real *dr) {
  Vec<Real> sum_r{};
  for (int64_t c = 0; c < channels; c += kLanes<Real>) {
    const Vec<Real> weight = t[0] * at(radial + c);
    Vec<Real> dot{};
    for (int i = 0; i < N; ++i) {
      const Vec<Real> gi = at(g + i * g_stride + c);
      dot += at(u + i * channels + c) * gi;
      at(du + i * channels + c) += weight * gi;
    }
    sum_r += at(slope + c) * dot;
  }
  at(dr) += t[0] * sum_r;
}

// The first layer: the features of a neighbour depend on its species alone and are part
// of the radial weights. a[m][c] += Y[m] R[c].
template <typename Real, int N3>
void species_forward(int64_t channels, const Real *t, const Real *radial, const Real *,
                     Real *a, int64_t a_stride) {
  for (int64_t c = 0; c < channels; c += kLanes<Real>) {
    const Vec<Real> weight = at(radial + c);
    for (int j = 0; j < N3; ++j) at(a + j * a_stride + c) += t[j * kPairs] * weight;
  }
}

template <typename Real, int N3>
void species_backward(int64_t channels, const Real *t, const Real *radial,
                      const Real *slope, const Real *, const Real *g, int64_t g_stride,
                      Real *, Real *dt, Real *dr) {
  Vec<Real> sum_t[N3], sum_r = at(dr);
  for (int j = 0; j < N3; ++j) sum_t[j] = Vec<Real>{};
  for (int64_t c = 0; c < channels; c += kLanes<Real>) {
    const Vec<Real> weight = at(radial + c);
    Vec<Real> dot{};
    for (int j = 0; j < N3; ++j) {
      const Vec<Real> gj = at(g + j * g_stride + c);
      dot += t[j * kPairs] * gj;
      sum_t[j] += weight * gj;
    }
    sum_r += at(slope + c) * dot;
  }
  for (int j = 0; j < N3; ++j) at(dt + j * kLanes<Real>) = sum_t[j];
  at(dr) = sum_r;
}

template <typename Real> struct PathKernels {
  void (*forward)(int64_t, const Real *, const Real *, const Real *, Real *, int64_t);
  void (*backward)(int64_t, const Real *, const Real *, const Real *, const Real *,
                   const Real *, int64_t, Real *, Real *, Real *);
};

template <typename Real, int N1> PathKernels<Real> kernels_to(int l2, int l3) {
  if (l2 == 0) return {same_forward<Real, N1>, same_backward<Real, N1>};
  switch (l3) {
    case 0: return {path_forward<Real, N1, 1>, path_backward<Real, N1, 1>};
    case 1: return {path_forward<Real, N1, 3>, path_backward<Real, N1, 3>};
    case 2: return {path_forward<Real, N1, 5>, path_backward<Real, N1, 5>};
    default: return {path_forward<Real, N1, 7>, path_backward<Real, N1, 7>};
  }
}

template <typename Real> PathKernels<Real> path_kernels(int l1, int l2, int l3) {
  switch (l1) {
    case 0: return kernels_to<Real, 1>(l2, l3);
    case 1: return kernels_to<Real, 3>(l2, l3);
    case 2: return kernels_to<Real, 5>(l2, l3);
    default: return kernels_to<Real, 7>(l2, l3);
  }
}

template <typename Real> PathKernels<Real> species_kernels(int l) {
  switch (l) {
    case 0: return {species_forward<Real, 1>, species_backward<Real, 1>};
    case 1: return {species_forward<Real, 3>, species_backward<Real, 3>};
    case 2: return {species_forward<Real, 5>, species_backward<Real, 5>};
    default: return {species_forward<Real, 7>, species_backward<Real, 7>};
  }
}

}  // namespace lamplighter
#endif
