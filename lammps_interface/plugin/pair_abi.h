// SPDX-License-Identifier: GPL-2.0-only
// The plain C structures that pass between the pair style and Python. Python reads them
// with ctypes (lammps_interface/pair_abi.py mirrors them field by field), so that the
// plugin needs neither Python.h nor a binding generator. Every field is eight bytes wide:
// both sides agree on the layout without knowing each other's padding rules.
//
// Energies are eV and lengths Å on this border, whatever the units of the run.

#ifndef LAMPLIGHTER_PAIR_ABI_H
#define LAMPLIGHTER_PAIR_ABI_H

#include <cstdint>

extern "C" {

// Raised whenever a field is added, moved or changes meaning.
enum { LAMPLIGHTER_ABI = 4 };
enum { LAMPLIGHTER_NAMES = 4096, LAMPLIGHTER_HASH = 128 };

// A compiled potential that the pair style may evaluate itself: the functions of
// model/compiled/native/compiled_abi.h, by their names there. Python keeps it alive.
struct LamplighterMember {
  void *evaluation;
  const double *baseline;          // [elements] E0 in eV
  int64_t n_layers, item_bytes;    // layers; bytes of a number in the exchanged rows
  void *begin, *forward, *backward, *width, *rows, *gradients;
  void *energies, *pair_gradients, *bytes, *problem;
};

// Request "open": load the model behind a file name.
struct LamplighterOpen {
  int64_t version;          // LAMPLIGHTER_ABI
  const char *path;         // FILE of the pair_style command
  const char *keywords;     // the words after FLAG, separated by blanks
  int64_t ghostneigh;       // FLAG of the pair_style command
  int64_t embedded;         // 1 if the plugin started this Python interpreter
  int64_t compiled_version;    // of compiled_abi.h, with which the plugin was built
  int64_t handle;           // out: names the model in later requests
  int64_t check_every;      // out: steps between parity checks, 0: none
  double cutoff;            // out: Å
  const LamplighterMember *members;    // out: [n_members], until "close"
  int64_t n_members;        // out: 0: each step is a request "compute"
  char elements[LAMPLIGHTER_NAMES];    // out: element names separated by blanks
  char outputs[LAMPLIGHTER_NAMES];     // out: names of per-atom outputs, likewise
  char note[LAMPLIGHTER_NAMES];        // out: one line about the model for the log
  char hash[LAMPLIGHTER_HASH];         // out: SHA-256 of the file, empty without a file
};

// Requests "compute" (one step) and "close" (only version and handle are read).
struct LamplighterStep {
  int64_t version;    // LAMPLIGHTER_ABI
  int64_t handle;
  void *pair;    // first argument of the callbacks

  int64_t nlocal, ntotal;            // owned atoms; owned atoms and ghosts
  int64_t nlistatoms, natomneigh;    // centres that are owned; all centres
  int64_t npairs, nneigh_max;        // directed pairs with r < cutoff; room for pairs
  int64_t eflag, vflag;              // as LAMMPS gives them to Pair::compute

  int32_t *iatoms, *ielems, *numneighs;    // [natomneigh]
  int32_t *pair_i, *pair_j, *jelems;       // [npairs], LAMMPS atom indices
  int32_t *elems;                          // [ntotal], -1: no element
  double *rij;                             // [npairs,3] x_j - x_i
  double *x;                               // [ntotal,3] positions
  double *f;                               // [ntotal,3] forces to add to
  double *eatoms;                          // [nlocal] by atom index
  double *centroid;    // out: [ntotal,9] many-body virial, row major; null: not wanted
  double **outputs;    // out: [number of names] -> [nlocal]; a null entry is not wanted
  double energy;       // in: 0; out: energy of this rank

  // Status 0: done; otherwise the step is over on all ranks and Python must return.
  int64_t (*forward_exchange)(void *pair, const void *src, void *dst, int64_t width,
                              int64_t item_bytes);
  int64_t (*reverse_exchange)(void *pair, const void *src, void *dst, int64_t width,
                              int64_t item_bytes);
  int64_t (*update_pair_forces)(void *pair, const double *fij);
};

// Request "check": one step as all ranks computed it, gathered on one of them.
struct LamplighterCheck {
  int64_t version;    // LAMPLIGHTER_ABI
  int64_t handle;
  int64_t natoms, step;
  int64_t *tags;            // [natoms] atom IDs
  int32_t *elems;           // [natoms] element indices, none is -1
  double *x;                // [natoms,3]
  double *f;                // [natoms,3] of the model alone
  double *eatoms;           // [natoms]
  double energy;            // of all ranks
  double virial[6];         // xx yy zz xy xz yz, of the model alone
  double cell[9];           // rows are the box vectors
  int64_t periodic[3];
  char report[LAMPLIGHTER_NAMES];    // out: one line for the log
};
}

#endif
