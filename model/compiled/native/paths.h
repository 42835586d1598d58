// SPDX-License-Identifier: MIT
// The paths of a layer, (l1, l2) -> l3 of neighbour features and harmonics: the couplings
// with the harmonics put in, T[m1][m3], and the derivative of that. For l1 = 0 T is the
// harmonics themselves.
#ifndef LAMPLIGHTER_PATHS_H
#define LAMPLIGHTER_PATHS_H

#include <vector>

#include "edges.h"

namespace lamplighter {

struct Coupling {
  int turned, harmonic;  // m1 (2 l3 + 1) + m3; m2
  double value;
};

// A sparse matrix: element `from[k]` times `value[k]` for k from first[to] on.
struct Sparse {
  std::vector<int> first, from;
  std::vector<double> value;

  // `one.*to` numbers the rows, `one.*from` the columns.
  void arrange(const std::vector<Coupling> &all, int n, int Coupling::*to,
               int Coupling::*column) {
    first.assign(1, 0);
    for (int row = 0; row < n; ++row) {
      for (const Coupling &one : all)
        if (one.*to == row) {
          from.push_back(one.*column);
          value.push_back(one.value);
        }
      first.push_back(int(from.size()));
    }
  }
};

template <typename Real> struct Path {
  int l1, l2, l3;
  int64_t begin;   // of its channels among the radial weights
  int64_t column;  // of its channels in a row (l3, m3) of A
  int64_t turn;    // of its first T among those of all paths
  PathKernels<Real> kernels;
  Sparse there, back;

  int n_turns() const { return (2 * l1 + 1) * (2 * l3 + 1); }
  void arrange(const std::vector<Coupling> &couplings) {
    there.arrange(couplings, n_turns(), &Coupling::turned, &Coupling::harmonic);
    back.arrange(couplings, 2 * l2 + 1, &Coupling::harmonic, &Coupling::turned);
  }
  // `y`: of a bundle of pairs; `t`: [n_turns][kPairs].
  void turn_harmonics(const Vec<double> *y, Real *t) const {
    const Vec<double> *own = y + l2 * l2;
    for (int k = 0; k < n_turns(); ++k) {
      Vec<double> sum{};
      if (l1 == 0)
        sum = own[k];
      else
        for (int c = there.first[k]; c < there.first[k + 1]; ++c)
          sum += there.value[c] * own[there.from[c]];
      for (int64_t p = 0; p < kPairs; ++p) t[k * kPairs + p] = Real(sum[p]);
    }
  }
  // From dE/dT of one pair, a vector of partial sums each, to its harmonics.
  void turn_back(const Real *dt, Real *dy) const {
    constexpr int64_t lanes = kLanes<Real>;
    if (l2 == 0) return;  // does not change
    for (int m = 0; m < 2 * l2 + 1; ++m) {
      Vec<Real> sum = at(dy + (l2 * l2 + m) * lanes);
      if (l1 == 0)
        sum += at(dt + m * lanes);
      else
        for (int c = back.first[m]; c < back.first[m + 1]; ++c)
          sum += Real(back.value[c]) * at(dt + back.from[c] * lanes);
      at(dy + (l2 * l2 + m) * lanes) = sum;
    }
  }
};

}  // namespace lamplighter
#endif
