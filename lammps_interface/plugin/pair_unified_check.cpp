// SPDX-License-Identifier: GPL-2.0-only
// Parity check: what all ranks computed, gathered on rank 0 and compared there by Python
// with an evaluation that knows nothing of ranks, ghosts and LAMMPS' neighbour list.

#include "pair_unified.h"

#include "agreement.h"
#include "python_host.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "update.h"
#include "utils.h"

#include <algorithm>

using namespace LAMMPS_NS;
using Lamplighter::agree;
using Lamplighter::PythonHost;

namespace {

// Collects arrays of all ranks, in the order of the ranks, on rank 0.
class Gather {
 public:
  Gather(MPI_Comm world, int mine) : world(world), mine(mine)
  {
    int rank = 0, size = 1;
    MPI_Comm_rank(world, &rank);
    MPI_Comm_size(world, &size);
    if (rank == 0) counts.resize(size);
    MPI_Gather(&mine, 1, MPI_INT, counts.data(), 1, MPI_INT, 0, world);
    for (const int count : counts) total += count;
  }

  template <typename Value>
  std::vector<Value> operator()(const std::vector<Value> &values, int per_atom) const
  {
    const int bytes = per_atom * static_cast<int>(sizeof(Value));
    std::vector<int> lengths, places;
    int place = 0;
    for (const int count : counts) {
      lengths.push_back(count * bytes);
      places.push_back(place);
      place += count * bytes;
    }
    std::vector<Value> all(static_cast<size_t>(total) * per_atom + 1);
    MPI_Gatherv(values.data(), mine * bytes, MPI_BYTE, all.data(), lengths.data(),
                places.data(), MPI_BYTE, 0, world);
    return all;
  }

  int64_t total = 0;    // atoms of all ranks; 0 on other ranks than 0

 private:
  MPI_Comm world;
  int mine;
  std::vector<int> counts;
};

}    // namespace

// Collective. Returns the same text on all ranks: nothing, or a table of what differs.
std::string PairUnified::check(const LamplighterStep &step)
{
  // Forces on ghosts belong to their owners.
  if (exchange(false, own_forces.data(), own_forces.data(), 3, sizeof(double))) {
    if (thrown) std::rethrow_exception(thrown);
    return stop_text;
  }
  std::vector<int64_t> tags;
  std::vector<int32_t> elements;
  std::vector<double> x, f, energies;
  for (int i = 0; i < atom->nlocal; i++) {
    if (elements_of_atoms[i] < 0) continue;
    tags.push_back(atom->tag_enable ? atom->tag[i] : i + 1);
    elements.push_back(elements_of_atoms[i]);
    energies.push_back(atom_energies[i]);
    x.insert(x.end(), atom->x[i], atom->x[i] + 3);
    f.insert(f.end(), &own_forces[3 * i], &own_forces[3 * i] + 3);
  }
  const Gather gather(world, static_cast<int>(tags.size()));
  tags = gather(tags, 1);
  elements = gather(elements, 1);
  energies = gather(energies, 1);
  x = gather(x, 3);
  f = gather(f, 3);

  LamplighterCheck request{};
  request.version = LAMPLIGHTER_ABI;
  request.handle = handle;
  request.natoms = gather.total;
  request.step = update->ntimestep;
  request.tags = tags.data();
  request.elems = elements.data();
  request.x = x.data();
  request.f = f.data();
  request.eatoms = energies.data();
  MPI_Reduce(&step.energy, &request.energy, 1, MPI_DOUBLE, MPI_SUM, 0, world);
  MPI_Reduce(own_virial, request.virial, 6, MPI_DOUBLE, MPI_SUM, 0, world);
  const double *const h = domain->h;    // xx yy zz yz xz xy
  const double cell[9] = {h[0], 0.0, 0.0, h[5], h[1], 0.0, h[4], h[3], h[2]};
  std::copy(cell, cell + 9, request.cell);
  std::copy(domain->periodicity, domain->periodicity + 3, request.periodic);

  std::string problem;
  if (comm->me == 0) problem = PythonHost::serve("check", &request);
  problem = agree(world, problem, Lamplighter::AT_CHECK);
  if (problem.empty() && comm->me == 0)
    utils::logmesg(lmp, std::string(request.report) + "\n");
  return problem;
}
