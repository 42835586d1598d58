// SPDX-License-Identifier: GPL-2.0-only
// The plain C structures that pass between the pair style and Python. Python reads them
// with ctypes (lammps_interface/pair_data.py mirrors them field by field), so that the
// plugin needs neither Python.h nor a binding generator. Every field is eight bytes wide:
// both sides agree on the layout without knowing each other's padding rules.

#ifndef LAMPLIGHTER_PAIR_ABI_H
#define LAMPLIGHTER_PAIR_ABI_H

#include <cstdint>

extern "C" {

// Raised whenever a field is added, moved or changes meaning.
enum { LAMPLIGHTER_ABI = 2 };
enum { LAMPLIGHTER_NAMES = 4096 };

// Request "open": load the model behind a file name.
struct LamplighterOpen {
  int64_t version;          // LAMPLIGHTER_ABI
  const char *path;         // FILE of the pair_style command
  int64_t ghostneigh;       // FLAG of the pair_style command
  int64_t embedded;         // 1 if the plugin started this Python interpreter
  int64_t handle;           // out: names the model in later requests
  double cutoff;            // out: Å
  char elements[LAMPLIGHTER_NAMES];    // out: element names separated by blanks
  char note[LAMPLIGHTER_NAMES];        // out: one line about the model for the log
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
  double *rij;                             // [npairs,3] x_j - x_i, Å
  double *f;                               // [ntotal,3] live forces, eV/Å
  double *eatoms;                          // [nlocal] by atom index, eV
  double energy;                           // in: 0; out: energy of this rank, eV

  // Status 0: done; otherwise the step is over on all ranks and Python must return.
  int64_t (*forward_exchange)(void *pair, const void *src, void *dst, int64_t width,
                              int64_t item_bytes);
  int64_t (*reverse_exchange)(void *pair, const void *src, void *dst, int64_t width,
                              int64_t item_bytes);
  int64_t (*update_pair_forces)(void *pair, const double *fij);
};
}

#endif
