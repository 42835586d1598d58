// SPDX-License-Identifier: GPL-2.0-only
// Rows of per-atom numbers between atoms and their ghosts. Forward: ghosts take their owners'
// rows. Reverse, its adjoint: ghosts' rows are added to their owners' and become zero.

#include "pair_unified.h"

#include "agreement.h"

#include "atom.h"
#include "comm.h"

#include <algorithm>
#include <cstring>

using namespace LAMMPS_NS;

// Status 1 means that the step is over on all ranks; nothing may be thrown through Python.
int64_t PairUnified::exchange(bool forward, const void *src, void *dst, int64_t width,
                              int64_t bytes)
{
  if (!stop_text.empty() || thrown) return 1;
  try {
    std::string problem;
    if (width < 0 || (bytes != 4 && bytes != 8))
      problem = "an exchange needs float32 or float64 rows";
    const long long stage = Lamplighter::FIRST_EXCHANGE + 4 * width + 2 * (bytes == 8) + forward;
    stop_text = Lamplighter::agree(world, problem, stage);
    if (!stop_text.empty()) return 1;

    const int64_t own = row_map ? n_own_rows : atom->nlocal;
    const int64_t all = row_map ? n_rows : atom->nlocal + atom->nghost;
    item_bytes = bytes;
    row_bytes = width * bytes;
    rows = static_cast<char *>(dst);
    if (src != dst && all > 0) memcpy(dst, src, all * row_bytes);
    move_columns(forward, width);
    if (!forward && all > own) memset(rows + own * row_bytes, 0, (all - own) * row_bytes);
  } catch (...) {
    thrown = std::current_exception();
  }
  rows = nullptr;
  return thrown ? 1 : 0;
}

void PairUnified::move_columns(bool forward, int64_t width)
{
  const int64_t most = comm_forward * (8 / item_bytes);    // items that fit into one block
  for (block_begin = 0; block_begin < width; block_begin += most) {
    block_items = std::min(most, width - block_begin);
    if (forward)
      comm->forward_comm(this, doubles_per_row());
    else
      comm->reverse_comm(this, doubles_per_row());
  }
}

// Two float32 travel as one double.
int PairUnified::doubles_per_row() const
{
  return static_cast<int>((block_items * item_bytes + 7) / 8);
}

// The current block of an atom's row; null for an atom that has none.
char *PairUnified::row(int atom) const
{
  const int64_t number = row_map ? row_map[atom] : atom;
  return number < 0 ? nullptr : rows + number * row_bytes + block_begin * item_bytes;
}

static void copy_or_clear(double *to, const char *from, int64_t bytes)
{
  if (from)
    memcpy(to, from, bytes);
  else
    memset(to, 0, bytes);
}

int PairUnified::pack_forward_comm(int n, int *atoms, double *buffer, int, int *)
{
  const int step = doubles_per_row();
  for (int k = 0; k < n; k++)
    copy_or_clear(buffer + static_cast<int64_t>(k) * step, row(atoms[k]),
                  block_items * item_bytes);
  return n * step;
}

void PairUnified::unpack_forward_comm(int n, int first, double *buffer)
{
  const int step = doubles_per_row();
  for (int k = 0; k < n; k++)
    if (char *const to = row(first + k))
      memcpy(to, buffer + static_cast<int64_t>(k) * step, block_items * item_bytes);
}

int PairUnified::pack_reverse_comm(int n, int first, double *buffer)
{
  const int step = doubles_per_row();
  for (int k = 0; k < n; k++)
    copy_or_clear(buffer + static_cast<int64_t>(k) * step, row(first + k),
                  block_items * item_bytes);
  return n * step;
}

template <typename Real> static void add(char *to, const double *buffer, int64_t items)
{
  Real *const sum = reinterpret_cast<Real *>(to);
  const char *const from = reinterpret_cast<const char *>(buffer);
  for (int64_t k = 0; k < items; k++) {
    Real value;
    memcpy(&value, from + k * sizeof(Real), sizeof(Real));
    sum[k] += value;
  }
}

void PairUnified::unpack_reverse_comm(int n, int *atoms, double *buffer)
{
  const int step = doubles_per_row();
  for (int k = 0; k < n; k++) {
    char *const to = row(atoms[k]);
    if (!to) continue;
    const double *const values = buffer + static_cast<int64_t>(k) * step;
    if (item_bytes == 4)
      add<float>(to, values, block_items);
    else
      add<double>(to, values, block_items);
  }
}

int64_t PairUnified::forward_exchange(void *pair, const void *src, void *dst, int64_t width,
                                      int64_t item_bytes)
{
  return static_cast<PairUnified *>(pair)->exchange(true, src, dst, width, item_bytes);
}

int64_t PairUnified::reverse_exchange(void *pair, const void *src, void *dst, int64_t width,
                                      int64_t item_bytes)
{
  return static_cast<PairUnified *>(pair)->exchange(false, src, dst, width, item_bytes);
}
