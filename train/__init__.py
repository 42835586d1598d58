"""Training and post-training of multi-head potentials."""

from lamplighter.train.config import HeadData, TrainConfig
from lamplighter.train.data import Frame, ReaderLimits, read_frames
from lamplighter.train.evaluation import evaluate
from lamplighter.train.finetune import finetune, run_finetune
from lamplighter.train.finetune_config import FinetuneConfig, NewHead
from lamplighter.train.results import TrainResult
from lamplighter.train.training import run_train, train

__all__ = [
    "FinetuneConfig",
    "Frame",
    "HeadData",
    "NewHead",
    "ReaderLimits",
    "TrainConfig",
    "TrainResult",
    "evaluate",
    "finetune",
    "read_frames",
    "run_finetune",
    "run_train",
    "train",
]
