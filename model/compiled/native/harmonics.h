// SPDX-License-Identifier: MIT
// Real spherical harmonics up to l = 3 and what their derivative gives back.
// The same polynomials as angular.py: component normalisation, order and signs of e3nn.
#ifndef LAMPLIGHTER_HARMONICS_H
#define LAMPLIGHTER_HARMONICS_H

#include "simd.h"

namespace lamplighter {

constexpr double kS3 = 1.7320508075688772, kS5 = 2.2360679774997896;
constexpr double kS7 = 2.6457513110645907, kS15 = 3.8729833462074170;
constexpr double kS70 = 8.3666002653407556, kS168 = 12.961481396815720;
constexpr double kS105 = 10.246950765959598;

// Y of a unit vector, or of a vector of them: y[(l_max + 1)^2].
template <typename Number>
inline void harmonics(const Number *n, int l_max, Number *out) {
  const Number x = n[0], y = n[1], z = n[2];
  out[0] = Number{} + 1.0;
  if (l_max < 1) return;
  out[1] = kS3 * x;
  out[2] = kS3 * y;
  out[3] = kS3 * z;
  if (l_max < 2) return;
  const Number xz = x * z, d = z * z - x * x, s = x * x + z * z;
  out[4] = kS15 * xz;
  out[5] = kS15 * x * y;
  out[6] = kS5 * (y * y - 0.5 * s);
  out[7] = kS15 * y * z;
  out[8] = 0.5 * kS15 * d;
  if (l_max < 3) return;
  const Number axial = 4.0 * y * y - s;
  out[9] = kS70 / 4 * x * (2.0 * z * z + d);
  out[10] = kS105 * xz * y;
  out[11] = kS168 / 8 * x * axial;
  out[12] = 0.5 * kS7 * y * (2.0 * y * y - 3.0 * s);
  out[13] = kS168 / 8 * z * axial;
  out[14] = 0.5 * kS105 * y * d;
  out[15] = kS70 / 4 * z * (d - 2.0 * x * x);
}

// Adds sum_m g[m] dY_m/dn to `out`, the polynomials taken as functions of all of space.
template <typename Number>
inline void harmonics_back(const Number *n, int l_max, const Number *g, Number *out) {
  const Number x = n[0], y = n[1], z = n[2];
  if (l_max < 1) return;
  Number gx = kS3 * g[1], gy = kS3 * g[2], gz = kS3 * g[3];
  if (l_max >= 2) {
    gx += kS15 * (z * g[4] + y * g[5] - x * g[8]) - kS5 * x * g[6];
    gy += kS15 * (x * g[5] + z * g[7]) + 2.0 * kS5 * y * g[6];
    gz += kS15 * (x * g[4] + y * g[7] + z * g[8]) - kS5 * z * g[6];
  }
  if (l_max >= 3) {
    const Number xx = x * x, yy = y * y, zz = z * z;
    const double a = kS70 / 4, b = kS168 / 8;
    // x (3 z^2 - x^2), xyz, x (4 y^2 - x^2 - z^2), y (2 y^2 - 3 x^2 - 3 z^2), ...
    gx += a * (3.0 * zz - 3.0 * xx) * g[9] + kS105 * y * z * g[10] +
          b * (4.0 * yy - 3.0 * xx - zz) * g[11] - 3.0 * kS7 * x * y * g[12] -
          2.0 * b * x * z * g[13] - kS105 * x * y * g[14] - 6.0 * a * x * z * g[15];
    gy += kS105 * x * z * g[10] + 8.0 * b * x * y * g[11] +
          0.5 * kS7 * (6.0 * yy - 3.0 * xx - 3.0 * zz) * g[12] + 8.0 * b * y * z * g[13] +
          0.5 * kS105 * (zz - xx) * g[14];
    gz += 6.0 * a * x * z * g[9] + kS105 * x * y * g[10] - 2.0 * b * x * z * g[11] -
          3.0 * kS7 * y * z * g[12] + b * (4.0 * yy - xx - 3.0 * zz) * g[13] +
          kS105 * y * z * g[14] + a * (3.0 * zz - 3.0 * xx) * g[15];
  }
  out[0] += gx;
  out[1] += gy;
  out[2] += gz;
}

}  // namespace lamplighter
#endif
