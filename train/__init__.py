"""Training and post-training of multi-head potentials."""

from lamplighter.train.config import FinetuneConfig, HeadData, TrainConfig
from lamplighter.train.data import Frame, ReaderLimits, read_frames
from lamplighter.train.evaluation import evaluate
from lamplighter.train.results import TrainResult
from lamplighter.train.training import run_train, train

__all__ = [
    "FinetuneConfig",
    "Frame",
    "HeadData",
    "ReaderLimits",
    "TrainConfig",
    "TrainResult",
    "evaluate",
    "read_frames",
    "run_train",
    "train",
]
