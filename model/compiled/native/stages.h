// SPDX-License-Identifier: MIT
// The stages: what is done with all blocks, by several threads.
#ifndef LAMPLIGHTER_STAGES_H
#define LAMPLIGHTER_STAGES_H

#include <algorithm>
#include <cmath>
#include <numeric>

#include "evaluation.h"

namespace lamplighter {

template <typename Real>
void EvaluationOf<Real>::check(const lamplighter_atoms &atoms) const {
  require(0 <= atoms.n_own && atoms.n_own <= atoms.n_all && atoms.n_pairs >= 0,
          "there are more own atoms than atoms");
  for (int64_t i = 0; i < atoms.n_all; ++i)
    require(0 <= atoms.species[i] && atoms.species[i] < p_.n_species,
            "an atom of an unknown species");
  require(atoms.first[0] == 0 && atoms.first[atoms.n_own] == atoms.n_pairs,
          "the pairs of the atoms are not all pairs");
  for (int64_t i = 0; i < atoms.n_own; ++i)
    require(atoms.first[i] <= atoms.first[i + 1], "pairs are not grouped by atom");
  const double least = p_.knots.first * p_.knots.first;
  for (int64_t q = 0; q < atoms.n_pairs; ++q) {
    require(0 <= atoms.neighbor[q] && atoms.neighbor[q] < atoms.n_all,
            "a neighbour that is not among the atoms");
    const double *v = atoms.vectors + 3 * q;
    require(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] >= least,
            "two atoms are closer than the tables reach");
  }
}

template <typename Real> void EvaluationOf<Real>::begin(const lamplighter_atoms &atoms) {
  stage_ = -1;
  check(atoms);
  atoms_ = atoms;
  arrange_blocks();
  make_room();
  stage_ = 0;
}

template <typename Real> void EvaluationOf<Real>::arrange_blocks() {
  order_.resize(atoms_.n_own);
  std::iota(order_.begin(), order_.end(), int64_t(0));
  const int32_t *species = atoms_.species;
  std::stable_sort(order_.begin(), order_.end(),
                   [&](int64_t a, int64_t b) { return species[a] < species[b]; });
  blocks_.clear();
  const int64_t share = (atoms_.n_own + 2 * n_shares_ - 1) / (2 * n_shares_);
  const int64_t most = std::min(std::max(share, kLeastBlock), kBlock);
  for (int64_t begin = 0, end = 0; begin < atoms_.n_own; begin = end) {
    const int own = species[order_[begin]];
    while (end < atoms_.n_own && species[order_[end]] == own) ++end;
    const int64_t n = end - begin, n_blocks = (n + most - 1) / most;
    for (int64_t b = 0; b < n_blocks; ++b)
      blocks_.push_back({own, begin + n * b / n_blocks, begin + n * (b + 1) / n_blocks});
  }
}

template <typename Real> void EvaluationOf<Real>::make_room() {
  const int64_t n = atoms_.n_own;
  energies_.assign(n, 0.0);
  pair_gradients_.assign(3 * atoms_.n_pairs, 0.0);
  for (int t = 0; t < p_.n_layers; ++t) {
    const Layer &layer = p_.layers[t];
    shared_[t].inverse.resize(n);
    shared_[t].rows.resize(atoms_.n_all * width(t));
    shared_[t].gradients.resize(atoms_.n_all * width(t));
    if (t + 1 == p_.n_layers) break;
    State &state = layers_[t];
    if (layer.gated) state.message.resize(n * layer.message.size);
    state.nodes.resize(n * p_.nodes.size);
    state.uses.resize(n * layer.uses.layout.size);
    state.back.resize(n * layer.uses.layout.size);
  }
}

template <typename Real> int64_t EvaluationOf<Real>::bytes() const {
  size_t reals = 0, doubles = energies_.size() + pair_gradients_.size() + order_.size();
  for (const State &one : layers_)
    reals += one.message.size() + one.nodes.size() + one.uses.size() +
             one.back.size();
  for (const Exchanged &one : shared_) {
    reals += one.rows.size() + one.gradients.size();
    doubles += one.inverse.size();
  }
  for (const auto &one : private_) reals += one.size();
  return int64_t(reals * sizeof(Real) + 8 * doubles);
}

template <typename Real> void EvaluationOf<Real>::go_forward(const Task &one) {
  make_message(one);
  if (one.layer.gated) open_gate(one);
  update_features(one);
  read_energies(one);
  if (one.t + 1 < p_.n_layers) project_features(one);
}

template <typename Real>
void EvaluationOf<Real>::go_back(const Task &one, Real *gradients) {
  project_back(one);
  skip_back(one);
  update_back(one);
  if (one.layer.gated) gate_and_mix_back(one);
  norm_back(one);
  residual_back(one, gradients);
  sums_back(one, gradients);
}

// Neighbours get their part from several atoms: each share of the blocks has its own sum.
template <typename Real> void EvaluationOf<Real>::clear_gradients(int t) {
  const size_t size = shared_[t].gradients.size();
  std::fill(shared_[t].gradients.begin(), shared_[t].gradients.end(), Real(0));
  for (int64_t k = 1; k < n_shares_; ++k) private_[k].assign(size, Real(0));
}

template <typename Real> void EvaluationOf<Real>::add_gradients(int t) {
  Real *sum = shared_[t].gradients.data();
  const int64_t size = int64_t(shared_[t].gradients.size());
  threads_.share(size, [&](int, int64_t begin, int64_t end) {
    for (int64_t k = 1; k < n_shares_; ++k)
      for (int64_t i = begin; i < end; ++i) sum[i] += private_[k][i];
  });
}

template <typename Real>
template <typename Work>
void EvaluationOf<Real>::by_blocks(int t, Work work) {
  const int64_t n = int64_t(blocks_.size());
  threads_.share(n_shares_, [&](int thread, int64_t first, int64_t last) {
    for (int64_t s = first; s < last; ++s)
      for (int64_t b = n * s / n_shares_; b < n * (s + 1) / n_shares_; ++b)
        work(task(t, blocks_[b], thread), gradients_of(t, s));
  });
}

template <typename Real> void EvaluationOf<Real>::forward(int t) {
  require(0 <= t && t < p_.n_layers && stage_ == t, "a stage out of its turn");
  const bool last = t + 1 == p_.n_layers;
  if (last) clear_gradients(t);
  by_blocks(t, [&](const Task &one, Real *gradients) {
    go_forward(one);
    if (last) go_back(one, gradients);
  });
  if (last) add_gradients(t);
  ++stage_;
}

template <typename Real> void EvaluationOf<Real>::backward(int t) {
  require(0 <= t && t < p_.n_layers && stage_ == 2 * p_.n_layers - 1 - t,
          "a stage out of its turn");
  ++stage_;
  if (t + 1 == p_.n_layers) return;  // done already
  clear_gradients(t);
  by_blocks(t, [&](const Task &one, Real *gradients) { go_back(one, gradients); });
  add_gradients(t);
}

template <typename Real>
void EvaluationOf<Real>::apply(const Task &task, int l, const Field &from,
                               const Matrix<Real> &w, const Field &to, bool add) const {
  task.work.from.clear();
  task.work.to.clear();
  for (int64_t k = 0; k < task.n; ++k)
    for (int m = 0; m < 2 * l + 1; ++m) {
      task.work.from.push_back(from.row(k, l, m));
      task.work.to.push_back(to.row(k, l, m));
    }
  multiply(task.work.from, w, task.work.to, add);
}

}  // namespace lamplighter
#endif
