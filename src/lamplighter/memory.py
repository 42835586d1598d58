"""How the C library treats memory that torch gives back."""

from __future__ import annotations

import ctypes
import functools
import os
import sys

# Options of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _TOP_PAD = -1, -3, -2
_NEVER = 2**31 - 1
_AHEAD = 64 * 2**20


@functools.cache
def reuse_freed_memory() -> bool:
    """Let glibc keep freed blocks instead of returning each one to the kernel.

    Evaluating a potential allocates the same large arrays in every step. By default
    each of them is mapped, filled page by page with zeros by the kernel, and unmapped
    again, which takes about a fifth of the time of a step. Affects the whole process;
    variables of the user (``MALLOC_...``) win.

    Returns:
        Whether the C library took the settings; False without glibc.
    """
    if sys.platform != "linux" or any(k.startswith("MALLOC_") for k in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = (
        (_MMAP_THRESHOLD, _NEVER),
        (_TRIM_THRESHOLD, _NEVER),
        (_TOP_PAD, _AHEAD),
    )
    return all(mallopt(option, value) == 1 for option, value in settings)
