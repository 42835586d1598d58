// SPDX-License-Identifier: GPL-2.0-only

#include "agreement.h"

namespace Lamplighter {

std::string agree(MPI_Comm world, const std::string &problem, long long stage)
{
  int rank = 0, size = 1;
  MPI_Comm_rank(world, &rank);
  MPI_Comm_size(world, &size);
  if (size == 1) return problem;

  // Largest of: has failed, stage, -stage. The last two give largest and smallest stage.
  // A rank that failed may be at any stage; only the first number counts then.
  long long mine[3] = {problem.empty() ? 0 : 1, stage, -stage}, all[3];
  MPI_Allreduce(mine, all, 3, MPI_LONG_LONG, MPI_MAX, world);
  if (all[0] == 0) {
    if (all[1] == -all[2]) return "";
    return "the ranks have lost step: the model calls forward_exchange or reverse_exchange a "
           "different number of times, or with different widths, on different ranks. It must "
           "make the same calls on every rank, with and without atoms or pairs.";
  }
  int failed = problem.empty() ? size : rank, lowest = 0;
  MPI_Allreduce(&failed, &lowest, 1, MPI_INT, MPI_MIN, world);
  std::string text = "on rank " + std::to_string(lowest) + ": " + problem;
  int length = static_cast<int>(text.size());
  MPI_Bcast(&length, 1, MPI_INT, lowest, world);
  text.resize(length);
  MPI_Bcast(&text[0], length, MPI_CHAR, lowest, world);
  return text;
}

}    // namespace Lamplighter
