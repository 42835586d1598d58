// SPDX-License-Identifier: MIT
// One evaluation: the stages of compiled_abi.h for the atoms of one rank.
//
// Atoms are taken in blocks of one species, so that all matrices of a block are the same.
// Nothing is kept for pairs but one gradient each; what the backward pass needs of an atom
// is the input of the product, the output of the layer and, behind a gate, its input.
#ifndef LAMPLIGHTER_EVALUATION_H
#define LAMPLIGHTER_EVALUATION_H

#include "potential.h"
#include "threads.h"

namespace lamplighter {

constexpr int64_t kBlock = 24;

template <typename Real> class EvaluationOf : public EvaluationBase {
 public:
  EvaluationOf(const PotentialOf<Real> &potential, int threads)
      : p_(potential), layers_(potential.n_layers), threads_(threads),
        scratch_(threads_.count()), private_(threads_.count()) {}

  void begin(const lamplighter_atoms &atoms) override;
  void forward(int t) override;
  void backward(int t) override;
  int64_t width(int t) const override {
    const Layer &layer = p_.layers.at(t);
    return t == 0 ? 0 : layer.edges.size;
  }
  void *rows(int t) override { return layers_.at(t).rows.data(); }
  void *gradients(int t) override { return layers_.at(t).gradients.data(); }
  const double *energies() const override { return energies_.data(); }
  const double *pair_gradients() const override { return pair_gradients_.data(); }
  int64_t bytes() const override;

 private:
  typedef LayerOf<Real> Layer;

  // What is kept of a layer from the forward to the backward pass.
  struct State {
    std::vector<Real> message;          // [n_own][m], behind a gate only
    std::vector<Real> nodes;            // [n_own][B]
    std::vector<Real> features;         // [n_own][h]
    std::vector<Real> back;             // [n_own][dE/dh]
    std::vector<double> inverse;        // [n_own]: 1 / (alpha + beta rho)
    std::vector<Real> rows, gradients;  // [n_all][u], [n_all][dE/du]
  };
  // What one thread needs while it works on a block.
  struct Scratch {
    std::vector<Real> sums, message, gated, product, dnodes, residual;
    std::vector<Real> hidden, program, radial, slope;
    std::vector<double> drho;
    std::vector<const Real *> from;
    std::vector<Real *> to;
  };
  struct Block {
    int species;
    int64_t begin, end;  // in order_
  };
  // A block at work in layer t.
  struct Task {
    int t, species;
    int64_t n;
    const int64_t *atom;
    const Layer &layer;
    State &state;
    Scratch &work;
  };
  // Numbers of each atom of a block, the rows of its degrees laid out by `layout`.
  struct Field {
    Real *data;
    const Layout &layout;
    const int64_t *atom;  // null: one after the other in the order of the block
    Real *operator[](int64_t k) const {
      return data + (atom == nullptr ? k : atom[k]) * layout.size;
    }
  };

  Field kept(std::vector<Real> &values, const Layout &layout, const Task &task) const {
    return {values.data(), layout, task.atom};
  }
  Field passing(std::vector<Real> &values, const Layout &layout) const {
    values.resize(kBlock * layout.size);
    return {values.data(), layout, nullptr};
  }
  // to = from W for the rows of degree l, or to += from W.
  void apply(const Task &task, int l, const Field &from, const Matrix<Real> &w,
             const Field &to, bool add) const;

  Task task(int t, const Block &block, int thread) {
    return {t, block.species, block.end - block.begin, order_.data() + block.begin,
            p_.layers[t], layers_[t], scratch_[thread]};
  }
  void check(const lamplighter_atoms &) const;
  void arrange_blocks();
  void make_room();

  // Forward, in this order.
  void sum_neighbors(const Task &, int64_t atom, Real *sums);    // (6), (7), (9)
  void make_message(const Task &);                               // (9), (10)
  void open_gate(const Task &);                                  // (11), (12)
  void update_features(const Task &);                            // (13), (14)
  void read_energies(const Task &);                              // (15)
  void project_features(const Task &);                           // (8)
  double read_out(const Task &, const Real *scalars, Real *back) const;

  // Backward, in this order.
  void project_back(const Task &);
  void update_back(const Task &);
  void gate_and_mix_back(const Task &);
  void norm_back(const Task &);
  void residual_back(const Task &, Real *gradients);
  void sums_back(const Task &, Real *gradients);
  void neighbors_back(const Task &, int64_t atom, double drho, const Real *dsums,
                      Real *gradients);
  Field dmessage(const Task &) const;

  const PotentialOf<Real> &p_;
  lamplighter_atoms atoms_{};
  int stage_ = -1;  // forward 0 ... n - 1, then backward; -1 before the first begin
  std::vector<int64_t> order_;
  std::vector<Block> blocks_;
  std::vector<State> layers_;
  std::vector<double> energies_, pair_gradients_;
  Threads threads_;
  std::vector<Scratch> scratch_;
  std::vector<std::vector<Real>> private_;  // a sum of gradients for each thread
};

template <typename Real>
std::unique_ptr<EvaluationBase> PotentialOf<Real>::evaluation(int threads) const {
  return std::make_unique<EvaluationOf<Real>>(*this, threads);
}

}  // namespace lamplighter
#endif
