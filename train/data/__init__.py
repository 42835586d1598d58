"""Labelled structures: reading, checking, splitting, batching."""

from lamplighter.train.data.frame import Frame
from lamplighter.train.data.limits import ReaderLimits
from lamplighter.train.data.reader import read_frames

__all__ = ["Frame", "ReaderLimits", "read_frames"]
