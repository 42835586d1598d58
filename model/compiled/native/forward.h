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
  const Field product = passing(task.work.product, layer.product);
  const Field uses = kept(task.state.uses, layer.uses.layout, task);
  const Real *from[kBlock];
  Real *to[kBlock];
  for (int64_t k = 0; k < task.n; ++k) from[k] = nodes[k], to[k] = product[k];
  Product<Real>(layer.program, c, layer.weights_of(task.species, c), task.work.program)
      .forward(task.n, from, to);
  for (int l = 0; l <= layer.l_out; ++l)
    apply(task, l, product, layer.update[l].forward(task.species), uses, false);
  if (task.t == 0) {
    const int64_t width = layer.uses.layout.width[0];
    const Real *start = layer.start.data() + task.species * width;
    for (int64_t k = 0; k < task.n; ++k)
      for (int64_t j = 0; j < width; ++j) uses[k][j] += start[j];
    return;
  }
  const Uses &last = p_.layers[task.t - 1].uses;
  const Field before = by_atom(layers_[task.t - 1].uses, last.layout, task);
  for (int l = 0; l <= std::min(layer.l_in, layer.l_out); ++l)
    if (last.has_later(l))
      for (int64_t k = 0; k < task.n; ++k)
        for (int m = 0; m < 2 * l + 1; ++m) {
          const Real *from = before.row(k, l, m) + last.later[l];
          Real *to = uses.row(k, l, m);
          for (int64_t j = 0; j < layer.uses.layout.width[l]; ++j) to[j] += from[j];
        }
}

// (15), (17)
template <typename Real> void EvaluationOf<Real>::read_energies(const Task &task) {
  const Field uses = kept(task.state.uses, task.layer.uses.layout, task);
  for (int64_t k = 0; k < task.n; ++k) {
    double &energy = energies_[task.atom[k]];
    energy += p_.scale * read_out(task, uses[k], nullptr);
    if (task.t + 1 == p_.n_layers) energy += p_.shift;
  }
}

// (8): what the next layer takes from its neighbours.
template <typename Real> void EvaluationOf<Real>::project_features(const Task &task) {
  const Layer &next = p_.layers[task.t + 1];
  const Field uses = kept(task.state.uses, task.layer.uses.layout, task);
  const Field rows = by_atom(shared_[task.t + 1].rows, next.edges, task);
  for (int l = 0; l <= next.l_edge; ++l)
    for (int64_t k = 0; k < task.n; ++k)
      for (int m = 0; m < 2 * l + 1; ++m)
        std::copy_n(uses.row(k, l, m) + task.layer.uses.edges[l], next.edge,
                    rows.row(k, l, m));
}

// (15): the energy of one atom from a layer, before the scale, from what its readout sees;
// writes its derivative, with the scale, to `back` unless that is null.
template <typename Real>
double EvaluationOf<Real>::read_out(const Task &task, const Real *x, Real *back) const {
  const Layer &layer = task.layer;
  if (layer.readout == kNone) return 0.0;
  if (layer.readout == kLinear) {
    if (back != nullptr) back[0] = Real(p_.scale);
    return layer.bias + x[0];
  }
  const int64_t n = layer.hidden;
  task.work.hidden.assign(3 * n, Real(0));
  Real *unit = task.work.hidden.data(), *y = unit + n, *dx = unit + 2 * n;
  const bool twice = layer.readout == kTwice;
  double energy = layer.bias;
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
    back[k] = Real((twice ? dx[k] : y[k]) * activate(layer.activation, x[k]).slope);
  return energy;
}

}  // namespace lamplighter
#endif
