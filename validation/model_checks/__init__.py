"""Physical checks on any potential: symmetries, smoothness, locality, derivatives.

``check_model`` takes a model file, a potential or any ASE calculator and returns a
record for everything that it measured; ``CHECKS`` has the checks by name. Nothing here
needs reference data: these are identities that every potential has to satisfy.
"""

from lamplighter.validation.model_checks.batched import Evaluation
from lamplighter.validation.model_checks.record import CheckRecord, ModelReport
from lamplighter.validation.model_checks.run import CHECKS, check_model
from lamplighter.validation.model_checks.subject import (
    Subject,
    subject_of_calculator,
    subject_of_potential,
)
from lamplighter.validation.model_checks.tolerances import TOLERANCES, Tolerances

__all__ = [
    "CHECKS",
    "TOLERANCES",
    "CheckRecord",
    "Evaluation",
    "ModelReport",
    "Subject",
    "Tolerances",
    "check_model",
    "subject_of_calculator",
    "subject_of_potential",
]
