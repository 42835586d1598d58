// SPDX-License-Identifier: MIT
// The forward pass of a block of atoms.
#ifndef LAMPLIGHTER_FORWARD_H
#define LAMPLIGHTER_FORWARD_H

#include <algorithm>

#include "activation.h"
#include "evaluation.h"

namespace lamplighter {

// (9), (10): neighbour sums, their linear map, and the residual behind a gate.
template <typename Real> void EvaluationOf<Real>::make_message(const Task &task) {
  const Layer &layer = task.layer;
  State &state = task.state;
  const Field sums = passing(task.work.sums, layer.sum);
  for (int64_t k = 0; k < task.n; ++k) sum_neighbors(task, task.atom[k], sums[k]);
  const Field message = layer.gated ? kept(state.message, layer.message, task)
                                    : kept(state.nodes, p_.nodes, task);
  for (int l = 0; l <= p_.l_max; ++l)
    apply(task, l, sums, layer.sum_map[l].forward(task.species), message, false);
  if (!layer.gated) return;
  if (task.t == 0) {
    const int64_t width = layer.message.width[0];
    const Real *offset = layer.offset.data() + task.species * width;
    for (int64_t k = 0; k < task.n; ++k)
      for (int64_t j = 0; j < width; ++j) message[k][j] += offset[j];
    return;
  }
  const Field rows = by_atom(task.shared.rows, layer.edges, task);
  for (int l = 0; l <= std::min(layer.l_edge, p_.l_max); ++l)
    apply(task, l, rows, layer.residual[l].forward(task.species), message, true);
}

// (11), (12)
template <typename Real> void EvaluationOf<Real>::open_gate(const Task &task) {
  const Field message = kept(task.state.message, task.layer.message, task);
  const Field gated = passing(task.work.gated, p_.nodes);
  const Field nodes = kept(task.state.nodes, p_.nodes, task);
  for (int64_t k = 0; k < task.n; ++k)
    gate(message[k], p_.l_max, p_.channels, gated[k]);
  for (int l = 0; l <= p_.l_max; ++l)
    apply(task, l, gated, task.layer.mix[l].forward(task.species), nodes, false);
}

// (13), (14)
template <typename Real> void EvaluationOf<Real>::update_features(const Task &task) {
  const Layer &layer = task.layer;
  const int64_t c = p_.channels;
  const Field nodes = kept(task.state.nodes, p_.nodes, task);
  const Field product = passing(task.work.product, layer.features);
  const Field features = kept(task.state.features, layer.features, task);
  const Real *from[kBlock];
  Real *to[kBlock];
  for (int64_t k = 0; k < task.n; ++k) from[k] = nodes[k], to[k] = product[k];
  Product<Real>(layer.program, c, layer.product_of(task.species, c), task.work.program)
      .forward(task.n, from, to);
  for (int l = 0; l <= layer.l_out; ++l)
    apply(task, l, product, layer.update[l].forward(task.species), features, false);
  if (task.t == 0) {
    const Real *start = layer.start.data() + task.species * c;
    for (int64_t k = 0; k < task.n; ++k)
      for (int64_t j = 0; j < c; ++j) features[k][j] += start[j];
    return;
  }
  const Layer &last = p_.layers[task.t - 1];
  const Field before = by_atom(layers_[task.t - 1].features, last.features, task);
  for (int l = 0; l <= std::min(layer.l_in, layer.l_out); ++l)
    if (!layer.skip[l].empty())
      apply(task, l, before, layer.skip[l].forward(task.species), features, true);
}

// (15), (17)
template <typename Real> void EvaluationOf<Real>::read_energies(const Task &task) {
  const Field features = kept(task.state.features, task.layer.features, task);
  for (int64_t k = 0; k < task.n; ++k) {
    double &energy = energies_[task.atom[k]];
    energy += p_.scale * read_out(task, features[k], nullptr);
    if (task.t + 1 == p_.n_layers) energy += p_.shift;
  }
}

// (8): what the next layer takes from its neighbours.
template <typename Real> void EvaluationOf<Real>::project_features(const Task &task) {
  const Layer &next = p_.layers[task.t + 1];
  const Field features = kept(task.state.features, task.layer.features, task);
  const Field rows = by_atom(shared_[task.t + 1].rows, next.edges, task);
  for (int l = 0; l <= next.l_edge; ++l)
    apply(task, l, features, next.up[l].forward(task.species), rows, false);
}

// (15): the energy of one atom from a layer, before the scale; adds its derivative, with
// the scale, to `back` unless that is null.
template <typename Real>
double EvaluationOf<Real>::read_out(const Task &task, const Real *scalars,
                                    Real *back) const {
  const Layer &layer = task.layer;
  if (layer.readout == kNone) return 0.0;
  const int64_t n = layer.readout == kLinear ? 1 : layer.hidden;
  task.work.hidden.assign(4 * n, Real(0));
  Real *x = task.work.hidden.data(), *unit = x + n, *y = x + 2 * n, *dx = x + 3 * n;
  multiply<Real>({scalars}, layer.first.there[0], {x}, false);
  double energy = layer.bias;
  if (layer.readout == kLinear) {
    energy += x[0];
    dx[0] = Real(p_.scale);
  } else {
    const bool twice = layer.readout == kTwice;
    for (int64_t k = 0; k < n; ++k) unit[k] = Real(activate(layer.activation, x[k]).value);
    if (twice) multiply<Real>({unit}, layer.middle.there[0], {y}, false);
    for (int64_t k = 0; k < n; ++k) {
      Active out{double(unit[k]), 1.0};
      if (twice) out = activate(layer.activation, y[k] + layer.middle_bias[k]);
      energy += layer.second[k] * out.value;
      y[k] = Real(p_.scale * layer.second[k] * out.slope);  // dE/dy from here on
    }
    if (back == nullptr) return energy;
    if (twice) multiply<Real>({y}, layer.middle.back[0], {dx}, false);
    for (int64_t k = 0; k < n; ++k)
      dx[k] = Real((twice ? dx[k] : y[k]) * activate(layer.activation, x[k]).slope);
  }
  if (back != nullptr) multiply<Real>({dx}, layer.first.back[0], {back}, true);
  return energy;
}

}  // namespace lamplighter
#endif
