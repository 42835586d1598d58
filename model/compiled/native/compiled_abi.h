/* SPDX-License-Identifier: MIT
 *
 * The compiled potential as plain C: no torch, no Python, no LAMMPS.
 *
 * A potential is put together from named tables, then evaluated in stages, because the
 * features of ghost atoms have to be fetched between the layers:
 *
 *     begin; forward 0; exchange rows 1; forward 1; ...; backward 1; reverse exchange of
 *     gradients 1; backward 0; results
 *
 * Lengths in Angstrom, energies in eV. Every function that can fail returns 0 when all is
 * well; lamplighter_problem() then says what was wrong.
 */
#ifndef LAMPLIGHTER_COMPILED_ABI_H
#define LAMPLIGHTER_COMPILED_ABI_H

#include <stdint.h>

#define LAMPLIGHTER_COMPILED_VERSION 2

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lamplighter_potential lamplighter_potential;
typedef struct lamplighter_evaluation lamplighter_evaluation;

/* Atoms and pairs of one rank. Own atoms come first; pairs are grouped by own atom. */
typedef struct {
  int64_t n_own, n_all, n_pairs;
  const int32_t *species;  /* [n_all] */
  const int64_t *first;    /* [n_own + 1] first pair of each own atom */
  const int32_t *neighbor; /* [n_pairs] row of the neighbour */
  const double *vectors;   /* [n_pairs][3] from the centre to the neighbour */
} lamplighter_atoms;

int lamplighter_compiled_version(void);
/* What went wrong in this thread, or an empty text. */
const char *lamplighter_problem(void);

/* real_bytes: 4 or 8, of the numbers that it computes with. */
lamplighter_potential *lamplighter_new(int real_bytes);
void lamplighter_free(lamplighter_potential *);
int lamplighter_put(lamplighter_potential *, const char *name, const double *, int64_t n);
int lamplighter_put_integers(lamplighter_potential *, const char *name, const int64_t *,
                             int64_t n);
int lamplighter_build(lamplighter_potential *);

/* deterministic: the same bits for any number of threads, at some cost in time. */
lamplighter_evaluation *lamplighter_evaluation_new(const lamplighter_potential *,
                                                   int threads, int deterministic);
void lamplighter_evaluation_free(lamplighter_evaluation *);
int lamplighter_begin(lamplighter_evaluation *, const lamplighter_atoms *);
int lamplighter_forward(lamplighter_evaluation *, int layer);
int lamplighter_backward(lamplighter_evaluation *, int layer);
/* Numbers per row of what a layer takes from all atoms; 0 for the first layer. */
int64_t lamplighter_width(const lamplighter_evaluation *, int layer);
/* [n_all][width], in the real type of the potential. */
void *lamplighter_rows(lamplighter_evaluation *, int layer);
void *lamplighter_gradients(lamplighter_evaluation *, int layer);
/* [n_own], without E0. */
const double *lamplighter_energies(const lamplighter_evaluation *);
/* [n_pairs][3]: dE/d vector. */
const double *lamplighter_pair_gradients(const lamplighter_evaluation *);
/* Bytes that the evaluation holds at present. */
int64_t lamplighter_bytes(const lamplighter_evaluation *);

#ifdef __cplusplus
}
#endif
#endif
