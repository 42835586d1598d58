// SPDX-License-Identifier: MIT
// One evaluation: the stages of compiled_abi.h for the atoms of one rank.
//
// Atoms are taken in blocks of one species, so that all matrices of a block are the same.
// Nothing is kept for pairs but one gradient each; what the backward pass needs of an atom
// is the input of the product, what is made of its output and, behind a gate, its input. In
// the last layer a block goes back as soon as it arrives: nothing of that is kept there.
#ifndef LAMPLIGHTER_EVALUATION_H
#define LAMPLIGHTER_EVALUATION_H

#include "potential.h"
#include "repulsion.h"
#include "threads.h"

namespace lamplighter {

// Atoms of a block: many, so that a matrix is loaded for many of them; fewer where there
// are more threads than blocks.
constexpr int64_t kBlock = 48, kLeastBlock = 12;

// Sums of gradients where results must not depend on the number of threads.
constexpr int kFixedShares = 8;

template <typename Real> class EvaluationOf : public EvaluationBase {
 public:
  EvaluationOf(const PotentialOf<Real> &potential, int threads, bool deterministic)
      : p_(potential), layers_(potential.n_layers), shared_(potential.n_layers),
        threads_(threads), n_shares_(deterministic ? kFixedShares : threads_.count()),
        scratch_(threads_.count()), private_(n_shares_) {}

  void begin(const lamplighter_atoms &atoms) override;
  void forward(int t) override;
  void backward(int t) override;
  int64_t width(int t) const override {
    const Layer &layer = p_.layers.at(t);
    return t == 0 ? 0 : layer.edges.size;
  }
  void *rows(int t) override { return shared_.at(t).rows.data(); }
  void *gradients(int t) override { return shared_.at(t).gradients.data(); }
  const double *energies() const override { return energies_.data(); }
  const double *pair_gradients() const override { return pair_gradients_.data(); }
  int64_t bytes() const override;

 private:
  typedef LayerOf<Real> Layer;

  // What is kept of a layer from the forward to the backward pass: of all own atoms, or,
  // in the last layer, of those of one block.
  struct State {
    Numbers<Real> message;   // [n][m], behind a gate only
    Numbers<Real> nodes;     // [n][B]
    Numbers<Real> uses;      // [n][uses of h]
    Numbers<Real> back;      // [n][dE/d uses]
  };
  // What belongs to a layer and to atoms, whatever is done with a block.
  struct Exchanged {
    std::vector<double> inverse;        // [n_own]: 1 / (alpha + beta rho)
    Numbers<Real> rows, gradients;  // [n_all][u], [n_all][dE/du]
  };
  // Pairs of one atom that are looked at together: number k of all of them is a vector.
  struct Bundle {
    int64_t n, pair[kPairs], neighbor[kPairs];
    Place place[kPairs];
    // aligned: as an argument of a template a vector has to be
    alignas(64) Vec<double> r, unit[3], y[16], dr, dy[16];
  };
  // What one thread needs while it works on a block.
  struct Scratch {
    Numbers<Real> sums, dsums, message, gated, product, dnodes, residual;
    Numbers<Real> hidden, program, radial, slope, turned, dt, dy;
    Bundle bundle{};
    State last;  // of the block at work in the last layer
    std::vector<double> drho;
    std::vector<const Real *> from;
    std::vector<Real *> to;

    void make_room(const Layer &layer) {  // for pairs
      radial.resize(layer.n_weights);
      slope.resize(layer.n_weights);
      turned.resize(layer.n_turns * kPairs);
      dt.resize(49 * kLanes<Real>);
      dy.resize(17 * kLanes<Real>);
    }
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
    Exchanged &shared;
    Scratch &work;
    const int64_t *place;  // where the atoms are in `state`; null: in the block's order
  };
  // Numbers of each atom of a block, the rows of its degrees laid out by `layout`.
  struct Field {
    Real *data;
    const Layout &layout;
    const int64_t *atom;  // null: one after the other in the order of the block
    Real *operator[](int64_t k) const {
      return data + (atom == nullptr ? k : atom[k]) * layout.size;
    }
    Real *row(int64_t k, int l, int m) const {
      return (*this)[k] + layout.start[l] + m * layout.width[l];
    }
  };

  Field kept(Numbers<Real> &values, const Layout &layout, const Task &task) const {
    if (task.place == nullptr) return passing(values, layout);
    return {values.data(), layout, task.place};
  }
  // Of the rows that are exchanged, or of the layer before.
  Field by_atom(Numbers<Real> &values, const Layout &layout, const Task &task) const {
    return {values.data(), layout, task.atom};
  }
  Field passing(Numbers<Real> &values, const Layout &layout) const {
    values.resize(kBlock * layout.size);
    return {values.data(), layout, nullptr};
  }
  // to = from W for the rows of degree l, or to += from W.
  void apply(const Task &task, int l, const Field &from, const Matrix<Real> &w,
             const Field &to, bool add) const;

  Task task(int t, const Block &block, int thread) {
    const bool last = t + 1 == p_.n_layers;
    const int64_t *atom = order_.data() + block.begin;
    return {t, block.species, block.end - block.begin, atom, p_.layers[t],
            last ? scratch_[thread].last : layers_[t], shared_[t], scratch_[thread],
            last ? nullptr : atom};
  }
  void go_forward(const Task &);
  void go_back(const Task &, Real *gradients);
  void clear_gradients(int t);
  void add_gradients(int t);
  Real *gradients_of(int t, int64_t share) {
    return share == 0 ? shared_[t].gradients.data() : private_[share].data();
  }
  // Calls work(task, gradients) for all blocks of a layer.
  template <typename Work> void by_blocks(int t, Work work);
  void check(const lamplighter_atoms &) const;
  void arrange_blocks();
  void make_room();

  template <typename Repel, typename Work>
  void by_bundles(const Task &, int64_t atom, Repel, Work);
  Repulsion repel(int own, int other, double r) const;

  // Forward, in this order.
  void sum_neighbors(const Task &, int64_t atom, Real *sums);    // (6), (7), (9)
  void make_message(const Task &);                               // (9), (10)
  void open_gate(const Task &);                                  // (11), (12)
  void update_features(const Task &);                            // (13), (14)
  void read_energies(const Task &);                              // (15)
  void project_features(const Task &);                           // (8)
  double read_out(const Task &, const Real *x, Real *back) const;

  // Backward, in this order.
  void project_back(const Task &);
  void skip_back(const Task &);
  void update_back(const Task &);
  void gate_and_mix_back(const Task &);
  void norm_back(const Task &);
  void residual_back(const Task &, Real *gradients);
  void sums_back(const Task &, Real *gradients);
  void neighbors_back(const Task &, int64_t atom, double drho, const Real *dsums,
                      Real *gradients);
  void pair_back(const Task &, Bundle &, int64_t p, double drho, const Real *dsums,
                 Real *gradients);
  void directions_back(const Bundle &);
  Field dmessage(const Task &) const;

  const PotentialOf<Real> &p_;
  lamplighter_atoms atoms_{};
  int stage_ = -1;  // forward 0 ... n - 1, then backward; -1 before the first begin
  std::vector<int64_t> order_;
  std::vector<Block> blocks_;
  std::vector<State> layers_;      // that of the last one stays empty
  std::vector<Exchanged> shared_;
  std::vector<double> energies_, pair_gradients_;
  Threads threads_;
  int64_t n_shares_;  // of the blocks; each is one thread's and has a sum of gradients
  std::vector<Scratch> scratch_;
  std::vector<Numbers<Real>> private_;  // a sum of gradients for each share but the first
};

template <typename Real>
std::unique_ptr<EvaluationBase> PotentialOf<Real>::evaluation(int threads,
                                                              bool deterministic) const {
  return std::make_unique<EvaluationOf<Real>>(*this, threads, deterministic);
}

}  // namespace lamplighter
#endif
