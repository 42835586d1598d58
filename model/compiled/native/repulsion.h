// SPDX-License-Identifier: MIT
// (16): the repulsion of bare cores (Ziegler, Biersack, Littmark).
#ifndef LAMPLIGHTER_REPULSION_H
#define LAMPLIGHTER_REPULSION_H

#include <cmath>

namespace lamplighter {

struct Repulsion {
  double value, slope;  // half the energy of a directed pair, and its derivative
};

// `zi`, `zj`: charges; `reach`: sum of the covalent radii; `power`: of the cutoff.
inline Repulsion repulsion(double r, double zi, double zj, double reach, int power) {
  static const double amplitude[4] = {0.1818, 0.5099, 0.2802, 0.02817};
  static const double exponent[4] = {3.2, 0.9423, 0.4028, 0.2016};
  if (r >= reach) return {0.0, 0.0};
  const double length = 0.4543 * 0.529 / (std::pow(zi, 0.3) + std::pow(zj, 0.3));
  double screen = 0.0, screen_slope = 0.0;
  for (int k = 0; k < 4; ++k) {
    const double one = amplitude[k] * std::exp(-exponent[k] * r / length);
    screen += one;
    screen_slope -= exponent[k] / length * one;
  }
  const double n = power, u = r / reach, un = std::pow(u, n - 1);
  const double a = 0.5 * (n + 1) * (n + 2), b = n * (n + 2), c = 0.5 * n * (n + 1);
  const double cut = 1 - un * u * (a - u * (b - u * c));
  const double cut_slope = -un * (a * n - u * (b * (n + 1) - u * c * (n + 2))) / reach;
  const double bare = 0.5 * 14.3996 * zi * zj / r;
  return {bare * screen * cut,
          bare * (screen_slope * cut + screen * cut_slope - screen * cut / r)};
}

}  // namespace lamplighter
#endif
