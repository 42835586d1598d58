// SPDX-License-Identifier: GPL-2.0-only
// Pair style "mliap unified FILE FLAG" for a LAMMPS that was built without Python.

#ifndef LAMPLIGHTER_PAIR_UNIFIED_H
#define LAMPLIGHTER_PAIR_UNIFIED_H

#include "pair.h"

#include "pair_abi.h"

#include <deque>
#include <exception>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class PairUnified : public Pair {
 public:
  explicit PairUnified(class LAMMPS *);
  ~PairUnified() override;

  // pair_unified.cpp: from the commands to a model that is ready
  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;

  // pair_unified_step.cpp: one step
  void compute(int, int) override;
  double memory_usage() override;

  // pair_unified_memory.cpp: restart files, and what other commands may ask for
  void write_restart(FILE *) override;
  void read_restart(FILE *) override;
  void write_restart_settings(FILE *) override;
  void read_restart_settings(FILE *) override;
  void *extract(const char *, int &) override;
  void *extract_peratom(const char *, int &) override;

  // pair_unified_comm.cpp: rows of numbers between ranks
  int pack_forward_comm(int, int *, double *, int, int *) override;
  void unpack_forward_comm(int, int, double *) override;
  int pack_reverse_comm(int, int, double *) override;
  void unpack_reverse_comm(int, int *, double *) override;

 private:
  // The model behind FILE
  std::string path, keywords;
  int64_t handle = 0;    // 0: none
  int64_t check_every = 0;
  double cutoff = 0.0;
  double unit = 1.0;                    // LAMMPS' unit of energy per eV
  std::vector<std::string> names;       // elements of the model
  std::vector<int> type_to_element;     // [ntypes+1], -1: NULL
  std::string hash, note;               // SHA-256 of FILE; what it is, in words
  std::string restart_hash, restart_note;    // the same of the restart file's model
  std::vector<LamplighterMember> members;    // evaluated here; empty: by Python

  // What models can tell about each atom, for fix pair. Fixes keep addresses of these: none
  // is ever removed or moved, and `offered` are those of the model in use, in its order.
  struct Output {
    std::string name;
    int fixes = 0, switching = 0;    // that take it; those of them that use the trigger
    int trigger = 0;                 // set by such a fix before a step that it needs
    std::vector<double> values;
    bool wanted() const { return trigger != 0 || fixes > switching; }
  };
  std::deque<Output> outputs;
  std::vector<Output *> offered;
  std::vector<double *> output_addresses;

  // Pair arrays of the current step; they keep their room from step to step
  std::vector<int32_t> centres, centre_elements, neighbour_counts;
  std::vector<int32_t> pair_i, pair_j, pair_elements, elements_of_atoms;
  std::vector<double> rij, atom_energies, direct_forces, centroid_virial;

  // Forces and virial of this style alone, kept on the steps of a parity check
  bool checking = false, checked = false;
  std::vector<double> own_forces;
  double own_virial[6] = {};

  // The same for the native library, which knows of no atom without an element
  std::vector<int64_t> first_pair;        // [n_own_rows + 1]
  std::vector<int32_t> row_of_atom;       // [ntotal], -1: no row; empty: rows are atoms
  std::vector<int32_t> row_species, pair_rows;    // unused where rows are atoms
  int64_t n_own_rows = 0, n_rows = 0;
  std::vector<double> mean_gradients;    // of a committee

  // The exchange in progress: a block of columns of rows that hold one atom each
  char *rows = nullptr;
  int64_t row_bytes = 0, block_begin = 0, block_items = 0, item_bytes = 8;
  const int32_t *row_map = nullptr;    // null: rows are atoms

  // Why the current step must end, and whether all ranks already know
  std::string stop_text;
  std::exception_ptr thrown;

  void allocate();
  void close();
  void forget_elements();
  void open_model(int64_t flag);
  void compare_with_restart();
  void refuse(const std::string &problem);
  void refuse_bonds();

  void read_pairs(bool for_python);
  void map_elements();
  bool absent(int mask) const;
  std::string partial_exclusion() const;
  void add_pairs_of(int centre, bool for_python);
  std::string evaluate(LamplighterStep &step, int eflag, int vflag);
  LamplighterStep describe(int eflag, int vflag);
  void offer(const std::string &name);
  void provide_outputs();
  void tally(const LamplighterStep &step);
  void tally_centroid();
  void add_forces(const double *gradients);
  void add_virial(int centre, size_t begin, size_t end, const double *gradients);
  void keep_for_check(int centre, size_t begin, size_t end, const double *gradients);
  void add_direct_forces();

  std::string check(const LamplighterStep &step);

  // pair_unified_native.cpp: a step without Python
  bool python_is_due() const;
  void number_rows();
  std::string evaluate_native(LamplighterStep &step);
  std::string run_stages(const LamplighterMember &member);
  void take_energies(const LamplighterMember &member);
  const double *take_gradients(const LamplighterMember &member);
  std::string not_numbers(const double *gradients, double energy) const;
  void fill_outputs();

  int64_t exchange(bool forward, const void *src, void *dst, int64_t width, int64_t bytes);
  void move_columns(bool forward, int64_t width);
  int doubles_per_row() const;
  char *row(int atom) const;

  static int64_t forward_exchange(void *, const void *, void *, int64_t, int64_t);
  static int64_t reverse_exchange(void *, const void *, void *, int64_t, int64_t);
  static int64_t update_pair_forces(void *, const double *);
};

}    // namespace LAMMPS_NS

#endif
