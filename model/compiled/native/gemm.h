// SPDX-License-Identifier: MIT
// Products of rows with a matrix that was arranged for it beforehand.
#ifndef LAMPLIGHTER_GEMM_H
#define LAMPLIGHTER_GEMM_H

#include <algorithm>
#include <vector>

#include "simd.h"

namespace lamplighter {

// A matrix [n_in][n_out] in panels of two vectors of columns: [panel][n_in][2 vectors].
template <typename Real> struct Matrix {
  static constexpr int64_t kPanel = 2 * kLanes<Real>;
  int64_t n_in = 0, n_out = 0;
  Numbers<Real> panels;

  // `entry(i, o)` is the element from column i of the rows to column o of the result.
  template <typename Entry> void arrange(int64_t in, int64_t out, Entry entry) {
    n_in = in;
    n_out = out;
    const int64_t n_panels = (out + kPanel - 1) / kPanel;
    panels.assign(n_panels * in * kPanel, Real(0));
    for (int64_t p = 0; p < n_panels; ++p)
      for (int64_t i = 0; i < in; ++i)
        for (int64_t o = 0; o < std::min(kPanel, out - p * kPanel); ++o)
          panels[(p * in + i) * kPanel + o] = Real(entry(i, p * kPanel + o));
  }
};

#if defined(__AVX512F__)
constexpr int64_t kRows = 12;
#else
constexpr int64_t kRows = 6;
#endif

template <typename Real, int64_t ROWS>
inline void multiply_tile(const Real *const *x, int64_t n_in, const Real *panel,
                          Real *const *y, int64_t column, int64_t width, bool add) {
  constexpr int64_t lanes = kLanes<Real>;
  Vec<Real> sum[ROWS][2];
  for (int64_t r = 0; r < ROWS; ++r) sum[r][0] = sum[r][1] = Vec<Real>{};
  for (int64_t k = 0; k < n_in; ++k) {
    const Vec<Real> left = at(panel + 2 * lanes * k);
    const Vec<Real> right = at(panel + 2 * lanes * k + lanes);
    for (int64_t r = 0; r < ROWS; ++r) {
      const Real value = x[r][k];
      sum[r][0] += value * left;
      sum[r][1] += value * right;
    }
  }
  for (int64_t r = 0; r < ROWS; ++r) {
    Real *out = y[r] + column;
    if (width == 2 * lanes) {
      if (add) {
        at(out) += sum[r][0];
        at(out + lanes) += sum[r][1];
      } else {
        at(out) = sum[r][0];
        at(out + lanes) = sum[r][1];
      }
    } else {
      for (int64_t c = 0; c < width; ++c) {
        const Real value = c < lanes ? sum[r][0][c] : sum[r][1][c - lanes];
        out[c] = add ? out[c] + value : value;
      }
    }
  }
}

// Calls the kernel for `rows` rows, at most kRows.
template <typename Real, int64_t ROWS = kRows>
inline void multiply_rows(int64_t rows, const Real *const *x, int64_t n_in,
                          const Real *panel, Real *const *y, int64_t column,
                          int64_t width, bool add) {
  if constexpr (ROWS > 1)
    if (rows < ROWS)
      return multiply_rows<Real, ROWS - 1>(rows, x, n_in, panel, y, column, width, add);
  multiply_tile<Real, ROWS>(x, n_in, panel, y, column, width, add);
}

// y[r] = x[r] W, or y[r] += x[r] W. Rows are named one by one: they need not be
// neighbours in memory. They are cut into tiles of as equal sizes as there can be: a tile
// of few rows keeps the processor waiting.
template <typename Real>
void multiply(const std::vector<const Real *> &x, const Matrix<Real> &w,
              const std::vector<Real *> &y, bool add) {
  constexpr int64_t panel = Matrix<Real>::kPanel;
  const int64_t n = static_cast<int64_t>(x.size()), n_tiles = (n + kRows - 1) / kRows;
  for (int64_t column = 0, p = 0; column < w.n_out; column += panel, ++p) {
    const Real *values = w.panels.data() + p * w.n_in * panel;
    const int64_t width = std::min(panel, w.n_out - column);
    for (int64_t tile = 0; tile < n_tiles; ++tile) {
      const int64_t r = n * tile / n_tiles, end = n * (tile + 1) / n_tiles;
      multiply_rows<Real>(end - r, &x[r], w.n_in, values, &y[r], column, width, add);
    }
  }
}

}  // namespace lamplighter
#endif
