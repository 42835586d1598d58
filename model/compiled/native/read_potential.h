// SPDX-License-Identifier: MIT
// From tables to a potential. A table that does not fit is refused: nothing that is
// computed later looks at an index or a length again.
#ifndef LAMPLIGHTER_READ_POTENTIAL_H
#define LAMPLIGHTER_READ_POTENTIAL_H

#include <algorithm>
#include <cmath>

#include "activation.h"
#include "potential.h"

namespace lamplighter {

inline bool between(int64_t low, int64_t value, int64_t high) {
  return low <= value && value <= high;
}

template <typename Real> void PotentialOf<Real>::read(const Tables &tables) {
  const auto &shape = tables.integers_of("shape", 8);
  require(between(1, shape[0], 128) && between(1, shape[1], 16) &&
              between(0, shape[2], kDegrees - 1) && between(1, shape[3], 1 << 20) &&
              shape[3] % kChannelUnit == 0 && between(1, shape[5], 64) &&
              between(2, shape[6], 1 << 24) && between(2, shape[7], kMaxOrder),
          "the shape of the potential is not one that can be run");
  n_species = int(shape[0]);
  n_layers = int(shape[1]);
  l_max = int(shape[2]);
  channels = shape[3];
  zbl = shape[4] != 0;
  cutoff_power = int(shape[5]);
  knots.count = shape[6];
  knots.order = int(shape[7]);
  const auto &numbers = tables.of("numbers", 5);
  cutoff = numbers[0];
  scale = numbers[1];
  shift = numbers[2];
  knots.first = numbers[3];
  knots.spacing = numbers[4];
  const double last = knots.first + knots.spacing * double(knots.count - 1);
  require(knots.first > 0.0 && knots.spacing > 0.0 && std::fabs(last - cutoff) < 1e-9,
          "the knots do not end at the cutoff");
  nodes = Layout::even(l_max, channels);
  charges = tables.of("charges", n_species);
  radii = tables.of("radii", n_species);
  layers.resize(n_layers);
  std::vector<Factored> factored;
  for (int t = 0; t < n_layers; ++t) factored.push_back(read_layer(tables, t));
  fold(factored);
}

template <typename Real>
Factored PotentialOf<Real>::read_layer(const Tables &tables, int t) {
  Layer &layer = layers[t];
  const std::string name = "layer" + std::to_string(t) + ".";
  layer.l_in = t == 0 ? 0 : layers[t - 1].l_out;
  read_shape(tables, name, layer, t == 0);
  read_paths(tables, name, layer, t == 0);
  read_couplings(tables, name, layer);
  read_radial(tables, name, layer);
  read_maps(tables, name, layer, t == 0);
  read_program(tables, name, layer);
  read_readout(tables, name, layer);
  return read_factored(tables, name, layer, t == 0);
}

template <typename Real>
void PotentialOf<Real>::read_shape(const Tables &tables, const std::string &name,
                                   Layer &layer, bool first) {
  const auto &shape = tables.integers_of(name + "shape", 8);
  require(between(0, shape[0], first ? 0 : layer.l_in) &&
              between(0, shape[1], kDegrees - 1) && between(1, shape[2], 1 << 20) &&
              shape[2] % kChannelUnit == 0 && between(kNone, shape[5], kTwice) &&
              between(1, shape[6], 1 << 20) && between(kActSilu, shape[7], kActNone),
          "the shape of " + name + " is not one that can be run");
  layer.l_edge = int(shape[0]);
  layer.l_out = int(shape[1]);
  layer.edge = shape[2];
  layer.gated = shape[3] != 0;
  layer.has_density = shape[4] != 0;
  layer.readout = int(shape[5]);
  layer.hidden = shape[6];
  layer.activation = int(shape[7]);
  layer.edges = Layout::even(layer.l_edge, layer.edge);
  layer.product = Layout::even(layer.l_out, channels);
  for (int l = 0; l <= l_max; ++l)  // one gate for each channel of each higher degree
    layer.message.append(l, channels * (layer.gated && l == 0 ? l_max + 1 : 1));
}

template <typename Real>
void PotentialOf<Real>::read_paths(const Tables &tables, const std::string &name,
                                   Layer &layer, bool first) {
  const auto &paths = tables.records(name + "paths", 3);
  int64_t width[kDegrees] = {0, 0, 0, 0};
  for (size_t k = 0; k < paths.size(); k += 3) {
    const int64_t l1 = paths[k], l2 = paths[k + 1], l3 = paths[k + 2];
    require(between(0, l1, layer.l_edge) && between(0, l2, l_max) &&
                between(0, l3, l_max) && (l1 > 0 || l2 == l3),
            "a path of " + name + " is not one of the layer");
    Path<Real> path{int(l1), int(l2), int(l3), layer.n_weights, width[l3], layer.n_turns,
                    first ? species_kernels<Real>(int(l3))
                          : path_kernels<Real>(int(l1), int(l2), int(l3)), {}, {}};
    layer.n_turns += path.n_turns();
    layer.paths.push_back(path);
    layer.n_weights += layer.edge;
    width[l3] += layer.edge;
  }
  for (int l = 0; l <= l_max; ++l) layer.sum.append(l, width[l]);
}

template <typename Real>
void PotentialOf<Real>::read_couplings(const Tables &tables, const std::string &name,
                                       Layer &layer) {
  std::vector<std::vector<Coupling>> couplings(layer.paths.size());
  const auto &where = tables.records(name + "couplings", 4);
  const auto &values = tables.of(name + "coupling_values", int64_t(where.size() / 4));
  for (size_t k = 0; k < values.size(); ++k) {
    const int64_t *w = where.data() + 4 * k;
    require(between(0, w[0], int64_t(layer.paths.size()) - 1),
            "a coupling of " + name + " has no path");
    const Path<Real> &path = layer.paths[w[0]];
    require(between(0, w[1], 2 * path.l1) && between(0, w[2], 2 * path.l2) &&
                between(0, w[3], 2 * path.l3),
            "a coupling of " + name + " is outside of its path");
    couplings[w[0]].push_back({int(w[1]) * (2 * path.l3 + 1) + int(w[3]), int(w[2]), values[k]});
  }
  for (size_t k = 0; k < couplings.size(); ++k) layer.paths[k].arrange(couplings[k]);
}

template <typename Real>
void PotentialOf<Real>::read_radial(const Tables &tables, const std::string &name,
                                    Layer &layer) {
  const int64_t n = int64_t(n_species) * n_species * knots.count * knots.order;
  const auto &radial = tables.of(name + "radial", n * layer.n_weights);
  layer.radial.assign(radial.begin(), radial.end());
  if (layer.has_density) layer.density = tables.of(name + "density", n);
  const auto &norm = tables.of(name + "norm", 2);
  layer.alpha = norm[0];
  layer.beta = norm[1];
}

template <typename Real>
void PotentialOf<Real>::read_maps(const Tables &tables, const std::string &name,
                                  Layer &layer, bool first) {
  const int64_t c = channels;
  for (int l = 0; l < kDegrees; ++l) {
    const std::string of = "." + std::to_string(l);
    const int64_t wide = layer.message.width[l];
    if (l <= l_max)
      layer.sum_map[l].read(tables, name + "sum" + of, layer.sum.width[l], wide, n_species);
    if (l <= l_max && layer.gated) {
      layer.mix[l].read(tables, name + "mix" + of, c, c, n_species);
      if (!first && l <= layer.l_edge)
        layer.residual[l].read(tables, name + "residual" + of, layer.edge, wide, n_species);
    }
  }
  if (!first || !layer.gated) return;
  const auto &offset = tables.of(name + "offset", n_species * layer.message.width[0]);
  layer.offset.assign(offset.begin(), offset.end());
}

template <typename Real>
Factored PotentialOf<Real>::read_factored(const Tables &tables, const std::string &name,
                                          const Layer &layer, bool first) {
  const int64_t c = channels;
  Factored read;
  for (int l = 0; l < kDegrees; ++l) {
    const std::string of = "." + std::to_string(l);
    if (l <= layer.l_out)
      read.update[l] = Dense::read(tables, name + "update" + of, c, c, n_species);
    if (!first && l <= std::min(layer.l_in, layer.l_out) && tables.has(name + "skip" + of))
      read.skip[l] = Dense::read(tables, name + "skip" + of, c, c, n_species);
    if (!first && l <= layer.l_edge)
      read.up[l] = Dense::read(tables, name + "up" + of, c, layer.edge, n_species);
  }
  if (first) read.start = {1, c, n_species, tables.of(name + "start", n_species * c)};
  if (layer.readout != kNone) {
    const int64_t n = layer.readout == kLinear ? 1 : layer.hidden;
    read.first = Dense::read(tables, name + "first", c, n, 1);
  }
  return read;
}

// From the last layer to the first: `later` is what is made of the features of a layer.
template <typename Real> void PotentialOf<Real>::fold(const std::vector<Factored> &all) {
  Dense later[kDegrees];
  for (int t = n_layers - 1; t >= 0; --t) {
    Layer &layer = layers[t];
    for (int l = 0; l <= layer.l_out; ++l) {
      Dense made;
      if (l == 0 && !all[t].first.empty()) {
        layer.uses.readout = all[t].first.n_out;
        made.append(all[t].first, (layer.uses.readout + kChannelUnit - 1) / kChannelUnit *
                                      kChannelUnit);
      }
      layer.uses.edges[l] = made.n_out;
      if (t + 1 < n_layers && !all[t + 1].up[l].empty())
        made.append(all[t + 1].up[l], layers[t + 1].edge);
      layer.uses.later[l] = made.n_out;
      if (t + 1 < n_layers && !all[t + 1].skip[l].empty() && !later[l].empty())
        made.append(all[t + 1].skip[l].times(later[l]), later[l].n_out);
      made.n_in = channels;
      layer.uses.layout.append(l, made.n_out);
      layer.update[l].arrange(all[t].update[l].times(made));
      later[l] = made;
    }
    for (int l = layer.l_out + 1; l < kDegrees; ++l) later[l] = Dense();
  }
  const Dense start = all[0].start.times(later[0]);
  layers[0].start.assign(start.values.begin(), start.values.end());
}

// The components that each node is a product of.
inline std::vector<Factors> read_nodes(const Tables &tables, const std::string &name,
                                       int64_t n_in) {
  std::vector<Factors> known;
  for (int64_t k = 0; k < n_in; ++k) known.push_back({int32_t(k)});
  const auto &nodes = tables.records(name + "nodes", 2);
  for (size_t k = 0; k < nodes.size(); k += 2) {
    const int64_t last = int64_t(known.size()) - 1;
    require(between(0, nodes[k], last) && between(0, nodes[k + 1], last),
            "the product of " + name + " needs what is not known yet");
    Factors both = known[nodes[k]];
    const Factors &more = known[nodes[k + 1]];
    both.insert(both.end(), more.begin(), more.end());
    require(both.size() <= kMostFactors, "the product of " + name + " has too many factors");
    std::sort(both.begin(), both.end());
    known.push_back(both);
  }
  return known;
}

template <typename Real>
void PotentialOf<Real>::read_program(const Tables &tables, const std::string &name,
                                     Layer &layer) {
  auto &program = layer.program;
  program.n_in = (l_max + 1) * (l_max + 1);
  program.n_out = (layer.l_out + 1) * (layer.l_out + 1);
  const std::vector<Factors> known = read_nodes(tables, name, program.n_in);
  const auto &terms = tables.records(name + "terms", 1);
  const int64_t n_terms = int64_t(terms.size());
  const auto &values = tables.of(name + "term_values", n_terms);
  for (int64_t k = 0; k < n_terms; ++k)
    require(between(0, terms[k], int64_t(known.size()) - 1),
            "a term of " + name + " is not known");
  const auto &rows = tables.records(name + "rows", 4);
  Monomials<Real> monomials(program);
  for (size_t k = 0; k < rows.size(); k += 4) {
    const int64_t *row = rows.data() + k;  // result, path, terms from ... to
    require(between(0, row[0], program.n_out - 1) && between(0, row[1], 1 << 20) &&
                between(0, row[2], row[3]) && row[3] <= n_terms,
            "a row of the product of " + name + " is outside of its terms");
    for (int64_t term = row[2]; term < row[3]; ++term)
      monomials.add(int32_t(row[0]), int32_t(row[1]), known[terms[term]], Real(values[term]));
    program.n_paths = std::max(program.n_paths, int32_t(row[1]) + 1);
  }
  monomials.arrange();
  const int64_t one = program.n_paths * channels;
  const int64_t parts = tables.parts(name + "product", one, n_species);
  const auto &weights = tables.of(name + "product", one * parts);
  layer.weights.assign(weights.begin(), weights.end());
}

template <typename Real>
void PotentialOf<Real>::read_readout(const Tables &tables, const std::string &name,
                                     Layer &layer) {
  if (layer.readout == kNone || layer.readout == kLinear) return;
  const int64_t n = layer.hidden;
  layer.second = tables.of(name + "second", n);
  if (layer.readout != kTwice) return;
  layer.middle.read(tables, name + "middle", n, n, 1);
  layer.middle_bias = tables.of(name + "middle_bias", n);
  layer.bias = tables.of(name + "bias", 1)[0];
}

}  // namespace lamplighter
#endif
