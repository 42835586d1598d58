// SPDX-License-Identifier: MIT
// Matrices as they are before they are arranged for evaluation: one for all species or one
// for each, multiplied and put side by side in double precision.
#ifndef LAMPLIGHTER_DENSE_H
#define LAMPLIGHTER_DENSE_H

#include <algorithm>
#include <string>
#include <vector>

#include "tables.h"

namespace lamplighter {

struct Dense {
  int64_t n_in = 0, n_out = 0, parts = 1;
  std::vector<double> values;  // [parts][n_in][n_out]

  static Dense zeros(int64_t n_in, int64_t n_out, int64_t parts) {
    return {n_in, n_out, parts, std::vector<double>(size_t(n_in * n_out * parts), 0.0)};
  }
  // One for all species where the table has so many numbers, else one for each.
  static Dense read(const Tables &tables, const std::string &name, int64_t n_in,
                    int64_t n_out, int64_t n_species) {
    const int64_t parts = tables.parts(name, n_in * n_out, n_species);
    return {n_in, n_out, parts, tables.of(name, parts * n_in * n_out)};
  }
  bool empty() const { return n_out == 0; }
  const double *of(int64_t species) const {
    return values.data() + (parts == 1 ? 0 : species * n_in * n_out);
  }
  double *of(int64_t species) {
    return values.data() + (parts == 1 ? 0 : species * n_in * n_out);
  }

  Dense times(const Dense &other) const {
    Dense made = zeros(n_in, other.n_out, std::max(parts, other.parts));
    for (int64_t s = 0; s < made.parts; ++s)
      for (int64_t i = 0; i < n_in; ++i)
        for (int64_t k = 0; k < n_out; ++k) {
          const double left = of(s)[i * n_out + k], *right = other.of(s) + k * other.n_out;
          double *to = made.of(s) + i * made.n_out;
          for (int64_t j = 0; j < made.n_out; ++j) to[j] += left * right[j];
        }
    return made;
  }
  // Adds columns; zeros fill them up to `width`.
  void append(const Dense &other, int64_t width) {
    Dense made = zeros(other.n_in, n_out + width, std::max(parts, other.parts));
    for (int64_t s = 0; s < made.parts; ++s)
      for (int64_t i = 0; i < made.n_in; ++i) {
        double *to = made.of(s) + i * made.n_out;
        if (n_out > 0) std::copy_n(of(s) + i * n_out, n_out, to);
        std::copy_n(other.of(s) + i * other.n_out, other.n_out, to + n_out);
      }
    *this = std::move(made);
  }
};

}  // namespace lamplighter
#endif
