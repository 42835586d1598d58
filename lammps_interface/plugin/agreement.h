// SPDX-License-Identifier: GPL-2.0-only
// How ranks agree that all is well. One rank that fails alone would leave the others waiting
// for its messages for ever; so every collective step begins with one small reduction.

#ifndef LAMPLIGHTER_AGREEMENT_H
#define LAMPLIGHTER_AGREEMENT_H

#include <mpi.h>

#include <string>

namespace Lamplighter {

// Where ranks meet. Exchanges are numbered from FIRST_EXCHANGE on, by direction and width.
enum Stage { AT_OPEN = 1, AT_END_OF_STEP, AT_RESTART, AT_CHECK, FIRST_EXCHANGE = 16 };

// Collective. `problem` is this rank's error text, empty if there is none; `stage` is a number
// that must be equal on all ranks. Returns the same text on every rank: nothing if every rank
// is well and at the same stage, else the text of the lowest failing rank, tagged with its
// number, or a text that says that the ranks have lost step.
std::string agree(MPI_Comm world, const std::string &problem, long long stage);

}    // namespace Lamplighter

#endif
