// SPDX-License-Identifier: GPL-2.0-only
// The only file pair that touches Python: a dozen functions of its C interface, found at
// run time, so that the plugin loads in a LAMMPS that has no Python at all.

#ifndef LAMPLIGHTER_PYTHON_HOST_H
#define LAMPLIGHTER_PYTHON_HOST_H

#include <string>

namespace Lamplighter {

class PythonHost {
 public:
  // Finds or starts Python on first use. Returns what is wrong, or nothing.
  static std::string start();

  // Calls lamplighter.lammps_interface.host.serve(request, address).
  // Returns the error text that came back, or nothing.
  static std::string serve(const char *request, void *address);

  // True once Python is up and not shutting down.
  static bool usable();

  // True if this process had no Python and the plugin started it.
  static bool embedded();
};

}    // namespace Lamplighter

#endif
