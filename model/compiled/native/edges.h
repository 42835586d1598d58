// SPDX-License-Identifier: MIT
// The neighbour sum A = sum_j R (u_j x Y) of one pair, and what its derivative gives back.
#ifndef LAMPLIGHTER_EDGES_H
#define LAMPLIGHTER_EDGES_H

#include <vector>

#include "simd.h"

namespace lamplighter {

// One coupling (l1, l2) -> l3 of neighbour features and harmonics.
struct Coupling {
  int m1, m2, m3;
  double value;
};
struct Path {
  int l1, l2, l3;
  int64_t begin;   // of its channels among the radial weights
  int64_t column;  // of its channels in a row (l3, m3) of A
  std::vector<Coupling> couplings;  // empty for l1 = 0, where the harmonics are copied
};

// The couplings of a path with the harmonics put in: T[m1][m3].
template <typename Real>
inline void angular(const Path &path, const double *y, Real *t) {
  const int n3 = 2 * path.l3 + 1;
  const double *y2 = y + path.l2 * path.l2;
  if (path.l1 == 0) {
    for (int m = 0; m < n3; ++m) t[m] = Real(y2[m]);
    return;
  }
  double sum[49] = {0.0};
  for (const Coupling &c : path.couplings) sum[c.m1 * n3 + c.m3] += c.value * y2[c.m2];
  for (int k = 0; k < (2 * path.l1 + 1) * n3; ++k) t[k] = Real(sum[k]);
}

inline void angular_back(const Path &path, const double *dt, double *dy) {
  const int n3 = 2 * path.l3 + 1;
  double *dy2 = dy + path.l2 * path.l2;
  if (path.l1 == 0) {
    for (int m = 0; m < n3; ++m) dy2[m] += dt[m];
    return;
  }
  for (const Coupling &c : path.couplings) dy2[c.m2] += c.value * dt[c.m1 * n3 + c.m3];
}

// a[m3][c] += sum over m1 of T[m1][m3] R[c] u[m1][c].
template <typename Real, int N1, int N3>
void path_forward(int64_t channels, const Real *t, const Real *radial, const Real *u,
                  Real *a, int64_t a_stride) {
  for (int64_t c = 0; c < channels; c += kLanes<Real>) {
    const Vec<Real> weight = at(radial + c);
    Vec<Real> v[N1];
    for (int i = 0; i < N1; ++i) v[i] = weight * at(u + i * channels + c);
    for (int j = 0; j < N3; ++j) {
      Vec<Real> sum = t[j] * v[0];
      for (int i = 1; i < N1; ++i) sum += t[i * N3 + j] * v[i];
      at(a + j * a_stride + c) += sum;
    }
  }
}

// What dE/dA = g gives back: to T, to the radial weights (already times their
// derivative: one number), and, where `du` is not null, to the features.
template <typename Real, int N1, int N3>
void path_backward(int64_t channels, const Real *t, const Real *radial,
                   const Real *slope, const Real *u, const Real *g, int64_t g_stride,
                   Real *du, double *dt, double *dr) {
  Vec<Real> sum_t[N1][N3];
  for (int i = 0; i < N1; ++i)
    for (int j = 0; j < N3; ++j) sum_t[i][j] = Vec<Real>{};
  Vec<Real> sum_r{};
  for (int64_t c = 0; c < channels; c += kLanes<Real>) {
    const Vec<Real> weight = at(radial + c);
    Vec<Real> x[N1], back[N1];
    for (int i = 0; i < N1; ++i) {
      x[i] = at(u + i * channels + c);
      back[i] = Vec<Real>{};
    }
    for (int j = 0; j < N3; ++j) {
      const Vec<Real> gj = at(g + j * g_stride + c);
      const Vec<Real> weighted = weight * gj;
      for (int i = 0; i < N1; ++i) {
        back[i] += t[i * N3 + j] * gj;
        sum_t[i][j] += weighted * x[i];
      }
    }
    Vec<Real> dot = x[0] * back[0];
    for (int i = 1; i < N1; ++i) dot += x[i] * back[i];
    sum_r += at(slope + c) * dot;
    if (du)
      for (int i = 0; i < N1; ++i) at(du + i * channels + c) += weight * back[i];
  }
  for (int i = 0; i < N1; ++i)
    for (int j = 0; j < N3; ++j) dt[i * N3 + j] += double(total<Real>(sum_t[i][j]));
  *dr += double(total<Real>(sum_r));
}

// The first layer: the features of a neighbour depend on its species alone and are part
// of the radial weights. a[m][c] += Y[m] R[c].
template <typename Real, int N3>
void species_forward(int64_t channels, const Real *t, const Real *radial, Real *a,
                     int64_t a_stride) {
  for (int64_t c = 0; c < channels; c += kLanes<Real>) {
    const Vec<Real> weight = at(radial + c);
    for (int j = 0; j < N3; ++j) at(a + j * a_stride + c) += t[j] * weight;
  }
}

template <typename Real, int N3>
void species_backward(int64_t channels, const Real *t, const Real *radial,
                      const Real *slope, const Real *g, int64_t g_stride, double *dt,
                      double *dr) {
  Vec<Real> sum_t[N3], sum_r{};
  for (int j = 0; j < N3; ++j) sum_t[j] = Vec<Real>{};
  for (int64_t c = 0; c < channels; c += kLanes<Real>) {
    const Vec<Real> weight = at(radial + c);
    Vec<Real> dot{};
    for (int j = 0; j < N3; ++j) {
      const Vec<Real> gj = at(g + j * g_stride + c);
      dot += t[j] * gj;
      sum_t[j] += weight * gj;
    }
    sum_r += at(slope + c) * dot;
  }
  for (int j = 0; j < N3; ++j) dt[j] += double(total<Real>(sum_t[j]));
  *dr += double(total<Real>(sum_r));
}

// The same for the degree of a path at run time.
template <typename Real>
void add_species(int l, int64_t n, const Real *t, const Real *radial, Real *a,
                 int64_t stride) {
  switch (l) {
    case 0: return species_forward<Real, 1>(n, t, radial, a, stride);
    case 1: return species_forward<Real, 3>(n, t, radial, a, stride);
    case 2: return species_forward<Real, 5>(n, t, radial, a, stride);
    default: return species_forward<Real, 7>(n, t, radial, a, stride);
  }
}

template <typename Real>
void add_species_back(int l, int64_t n, const Real *t, const Real *radial,
                      const Real *slope, const Real *g, int64_t stride, double *dt,
                      double *dr) {
  switch (l) {
    case 0: return species_backward<Real, 1>(n, t, radial, slope, g, stride, dt, dr);
    case 1: return species_backward<Real, 3>(n, t, radial, slope, g, stride, dt, dr);
    case 2: return species_backward<Real, 5>(n, t, radial, slope, g, stride, dt, dr);
    default: return species_backward<Real, 7>(n, t, radial, slope, g, stride, dt, dr);
  }
}

template <typename Real> struct PathKernels {
  void (*forward)(int64_t, const Real *, const Real *, const Real *, Real *, int64_t);
  void (*backward)(int64_t, const Real *, const Real *, const Real *, const Real *,
                   const Real *, int64_t, Real *, double *, double *);
};

template <typename Real, int N1> PathKernels<Real> kernels_to(int l3) {
  switch (l3) {
    case 0: return {path_forward<Real, N1, 1>, path_backward<Real, N1, 1>};
    case 1: return {path_forward<Real, N1, 3>, path_backward<Real, N1, 3>};
    case 2: return {path_forward<Real, N1, 5>, path_backward<Real, N1, 5>};
    default: return {path_forward<Real, N1, 7>, path_backward<Real, N1, 7>};
  }
}

template <typename Real> PathKernels<Real> path_kernels(int l1, int l3) {
  switch (l1) {
    case 0: return kernels_to<Real, 1>(l3);
    case 1: return kernels_to<Real, 3>(l3);
    case 2: return kernels_to<Real, 5>(l3);
    default: return kernels_to<Real, 7>(l3);
  }
}

}  // namespace lamplighter
#endif
