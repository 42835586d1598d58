"""Makes the models in LAMMPS cheat where there are several ranks.

The Python inside `lmp` starts like any other, so this runs before a model is loaded.
``CHEAT`` says how: ``deaf`` keeps the features of ghosts that a rank made up itself,
``slow`` lets the last rank fall asleep, ``fail`` lets it raise an error.
"""

import os
import time

RANKS = int(os.environ.get("PMI_SIZE", "1"))
RANK = int(os.environ.get("PMI_RANK", "0"))


class Deaf:
    """LAMMPS' data, whose exchange brings nothing."""

    def __init__(self, data):
        object.__setattr__(self, "data", data)

    def __getattr__(self, name):
        return getattr(self.data, name)

    def __setattr__(self, name, value):
        setattr(self.data, name, value)

    def forward_exchange(self, src, dst, n):
        self.data.forward_exchange(src, dst, n)
        dst.copy_(src)


def cheat(how):
    from lamplighter.lammps_interface import mliap

    honest = mliap.MliapModel.compute_forces
    evaluate = mliap.MliapModel.evaluate

    def fail(self, data):
        if RANK == RANKS - 1:
            message = "this rank fails"
            raise RuntimeError(message)
        return evaluate(self, data)

    if how == "fail":
        mliap.MliapModel.evaluate = fail
        return

    def compute_forces(self, data):
        if how == "slow" and RANK == RANKS - 1:
            time.sleep(600)
        honest(self, Deaf(data) if how == "deaf" else data)

    mliap.MliapModel.compute_forces = compute_forces


# Only the Python inside LAMMPS, not the one that starts it, has a rank and a host.
# That of an upstream LAMMPS has no host of ours.
inside = {"LAMPLIGHTER_PYTHONPATH", "CHEAT_UPSTREAM"} & set(os.environ)
if RANKS > 1 and inside:
    cheat(os.environ["CHEAT"])
