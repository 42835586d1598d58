// SPDX-License-Identifier: GPL-2.0-only
// Pair style "mliap unified FILE FLAG" for a LAMMPS that was built without Python.

#ifndef LAMPLIGHTER_PAIR_UNIFIED_H
#define LAMPLIGHTER_PAIR_UNIFIED_H

#include "pair.h"

#include "pair_abi.h"

#include <exception>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class PairUnified : public Pair {
 public:
  explicit PairUnified(class LAMMPS *);
  ~PairUnified() override;

  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;
  void compute(int, int) override;
  double memory_usage() override;

  int pack_forward_comm(int, int *, double *, int, int *) override;
  void unpack_forward_comm(int, int, double *) override;
  int pack_reverse_comm(int, int, double *) override;
  void unpack_reverse_comm(int, int *, double *) override;

 private:
  // The model behind FILE
  std::string path;
  int64_t handle = 0;    // 0: none
  double cutoff = 0.0;
  std::vector<std::string> names;       // elements of the model
  std::vector<int> type_to_element;     // [ntypes+1], -1: NULL

  // Pair arrays of the current step; they keep their room from step to step
  std::vector<int32_t> centres, centre_elements, neighbour_counts;
  std::vector<int32_t> pair_i, pair_j, pair_elements, elements_of_atoms;
  std::vector<double> rij, atom_energies;

  // The exchange in progress: a block of columns of rows that hold one atom each
  char *rows = nullptr;
  int64_t row_bytes = 0, block_begin = 0, block_items = 0, item_bytes = 8;
  int64_t row_count = 0;

  // Why the current step must end, and whether all ranks already know
  std::string stop_text;
  std::exception_ptr thrown;

  void allocate();
  void close();
  void open_model(int64_t flag);
  void refuse(const std::string &problem);
  void read_pairs();
  void map_elements();
  void add_pairs_of(int centre);
  LamplighterStep describe(int eflag, int vflag);
  void tally(const LamplighterStep &step);
  int64_t exchange(bool forward, const void *src, void *dst, int64_t width, int64_t bytes);
  void move_columns(bool forward, int64_t width);
  void add_forces(const double *fij);
  int doubles_per_row() const;

  static int64_t forward_exchange(void *, const void *, void *, int64_t, int64_t);
  static int64_t reverse_exchange(void *, const void *, void *, int64_t, int64_t);
  static int64_t update_pair_forces(void *, const double *);
};

}    // namespace LAMMPS_NS

#endif
