// SPDX-License-Identifier: MIT
// Functions of the distance between equidistant knots: cubic from values and slopes, or
// quintic from values, slopes and curvatures. The numbers of a knot are multiplied by
// powers of the spacing, so that only the place within an interval counts.
#ifndef LAMPLIGHTER_SPLINE_H
#define LAMPLIGHTER_SPLINE_H

#include <algorithm>
#include <cmath>

#include "simd.h"

namespace lamplighter {

constexpr int kMaxOrder = 3;  // value, slope and curvature at each knot

// Where a distance lies, and the weights of the numbers of the knots on either side: for
// the value of a function and for its derivative.
struct Place {
  int64_t knot;
  double value[2 * kMaxOrder], slope[2 * kMaxOrder];
};

struct Knots {
  double first = 0.0, spacing = 0.0;
  int64_t count = 0;
  int order = 2;  // numbers per knot

  Place place(double r) const {
    Place p;
    const double s = (r - first) / spacing;
    p.knot = std::min(std::max(int64_t(std::floor(s)), int64_t(0)), count - 2);
    const double t = s - double(p.knot);
    if (order == 2)
      cubic(t, p);
    else
      quintic(t, p);
    for (int k = 0; k < 2 * order; ++k) p.slope[k] /= spacing;
    return p;
  }

 private:
  static void cubic(double t, Place &p) {
    const double t2 = t * t, t3 = t2 * t;
    const double v[4] = {1 - 3 * t2 + 2 * t3, t - 2 * t2 + t3, 3 * t2 - 2 * t3, t3 - t2};
    const double d[4] = {6 * t2 - 6 * t, 1 - 4 * t + 3 * t2, 6 * t - 6 * t2,
                         3 * t2 - 2 * t};
    for (int k = 0; k < 4; ++k) p.value[k] = v[k], p.slope[k] = d[k];
  }
  static void quintic(double t, Place &p) {
    const double t2 = t * t, t3 = t2 * t, t4 = t2 * t2, t5 = t4 * t;
    const double v[6] = {1 - 10 * t3 + 15 * t4 - 6 * t5,
                         t - 6 * t3 + 8 * t4 - 3 * t5,
                         0.5 * t2 - 1.5 * t3 + 1.5 * t4 - 0.5 * t5,
                         10 * t3 - 15 * t4 + 6 * t5,
                         -4 * t3 + 7 * t4 - 3 * t5,
                         0.5 * t3 - t4 + 0.5 * t5};
    const double d[6] = {-30 * t2 + 60 * t3 - 30 * t4,
                         1 - 18 * t2 + 32 * t3 - 15 * t4,
                         t - 4.5 * t2 + 6 * t3 - 2.5 * t4,
                         30 * t2 - 60 * t3 + 30 * t4,
                         -12 * t2 + 28 * t3 - 15 * t4,
                         1.5 * t2 - 4 * t3 + 2.5 * t4};
    for (int k = 0; k < 6; ++k) p.value[k] = v[k], p.slope[k] = d[k];
  }
};

// out[c] = sum_k weights[k] rows[k][c]
template <typename Real, int COUNT>
inline void interpolate_of(const Real *rows, int64_t n, const double *weights, Real *out) {
  Vec<Real> w[COUNT];
  for (int k = 0; k < COUNT; ++k) w[k] = Vec<Real>{} + Real(weights[k]);
  for (int64_t c = 0; c < n; c += kLanes<Real>) {
    Vec<Real> sum = w[0] * at(rows + c);
    for (int k = 1; k < COUNT; ++k) sum += w[k] * at(rows + k * n + c);
    at(out + c) = sum;
  }
}

// The same twice, with the weights of the value and of the slope.
template <typename Real, int COUNT>
inline void interpolate_both_of(const Real *rows, int64_t n, const Place &place, Real *out,
                                Real *slope) {
  Vec<Real> w[COUNT], s[COUNT];
  for (int k = 0; k < COUNT; ++k) {
    w[k] = Vec<Real>{} + Real(place.value[k]);
    s[k] = Vec<Real>{} + Real(place.slope[k]);
  }
  for (int64_t c = 0; c < n; c += kLanes<Real>) {
    Vec<Real> row = at(rows + c), sum = w[0] * row, slopes = s[0] * row;
    for (int k = 1; k < COUNT; ++k) {
      row = at(rows + k * n + c);
      sum += w[k] * row;
      slopes += s[k] * row;
    }
    at(out + c) = sum;
    at(slope + c) = slopes;
  }
}

template <typename Real>
inline void interpolate(const Real *rows, int64_t n, const Place &place, int order,
                        Real *out) {
  if (order == 2)
    interpolate_of<Real, 4>(rows, n, place.value, out);
  else
    interpolate_of<Real, 6>(rows, n, place.value, out);
}

template <typename Real>
inline void interpolate_both(const Real *rows, int64_t n, const Place &place, int order,
                             Real *out, Real *slope) {
  if (order == 2)
    interpolate_both_of<Real, 4>(rows, n, place, out, slope);
  else
    interpolate_both_of<Real, 6>(rows, n, place, out, slope);
}

}  // namespace lamplighter
#endif
