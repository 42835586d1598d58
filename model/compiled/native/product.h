// SPDX-License-Identifier: MIT
// The symmetric product: many-body features from powers of the one-body ones, as a short
// program of multiplications that all channels run side by side.
#ifndef LAMPLIGHTER_PRODUCT_H
#define LAMPLIGHTER_PRODUCT_H

#include <vector>

#include "simd.h"

namespace lamplighter {

// Node k is a component of B for k < n_in, else node[left] * B[right].
template <typename Real> struct ProductProgram {
  struct Node {
    int32_t left, right;
  };
  struct Term {
    int32_t node;
    Real value;
  };
  struct Row {  // one path and component: the sum of its terms
    int32_t out, path, begin, end;
  };
  int32_t n_in = 0, n_out = 0, n_paths = 0;
  std::vector<Node> nodes;
  std::vector<Term> terms;
  std::vector<Row> rows;
};

// P[out][c] from B[in][c]; `weights` is [n_paths][channels].
template <typename Real>
void product_forward(const ProductProgram<Real> &program, int64_t channels, const Real *weights,
                     const Real *b, Real *p, std::vector<Real> &scratch) {
  constexpr int64_t lanes = kLanes<Real>;
  const int64_t n_in = program.n_in, n_nodes = n_in + int64_t(program.nodes.size());
  scratch.resize(n_nodes * lanes);
  Real *node = scratch.data();
  for (int64_t c = 0; c < channels; c += lanes) {
    for (int64_t k = 0; k < n_in; ++k) at(node + k * lanes) = at(b + k * channels + c);
    Real *next = node + n_in * lanes;
    for (const auto &one : program.nodes) {
      at(next) = at(node + one.left * lanes) * at(node + one.right * lanes);
      next += lanes;
    }
    for (int64_t k = 0; k < program.n_out; ++k) at(p + k * channels + c) = Vec<Real>{};
    for (const auto &row : program.rows) {
      Vec<Real> sum{};
      for (int32_t k = row.begin; k < row.end; ++k)
        sum += program.terms[k].value * at(node + program.terms[k].node * lanes);
      at(p + row.out * channels + c) += sum * at(weights + row.path * channels + c);
    }
  }
}

// dB from dP; `db` is overwritten.
template <typename Real>
void product_backward(const ProductProgram<Real> &program, int64_t channels,
                      const Real *weights, const Real *b, const Real *dp, Real *db,
                      std::vector<Real> &scratch) {
  constexpr int64_t lanes = kLanes<Real>;
  const int64_t n_in = program.n_in, n_more = int64_t(program.nodes.size());
  scratch.resize(2 * (n_in + n_more) * lanes);
  Real *node = scratch.data(), *back = node + (n_in + n_more) * lanes;
  for (int64_t c = 0; c < channels; c += lanes) {
    for (int64_t k = 0; k < n_in; ++k) at(node + k * lanes) = at(b + k * channels + c);
    for (int64_t k = 0; k < n_more; ++k)
      at(node + (n_in + k) * lanes) = at(node + program.nodes[k].left * lanes) *
                                      at(node + program.nodes[k].right * lanes);
    for (int64_t k = 0; k < n_in + n_more; ++k) at(back + k * lanes) = Vec<Real>{};
    for (const auto &row : program.rows) {
      const Vec<Real> g = at(dp + row.out * channels + c) *
                          at(weights + row.path * channels + c);
      for (int32_t k = row.begin; k < row.end; ++k)
        at(back + program.terms[k].node * lanes) += program.terms[k].value * g;
    }
    for (int64_t k = n_more - 1; k >= 0; --k) {
      const auto &one = program.nodes[k];
      const Vec<Real> g = at(back + (n_in + k) * lanes);
      at(back + one.left * lanes) += g * at(node + one.right * lanes);
      at(back + one.right * lanes) += g * at(node + one.left * lanes);
    }
    for (int64_t k = 0; k < n_in; ++k) at(db + k * channels + c) = at(back + k * lanes);
  }
}

}  // namespace lamplighter
#endif
