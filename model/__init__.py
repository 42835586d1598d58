"""The potential: from a graph of atoms to energies, forces and stress."""

from lamplighter.model.artifact import (
    Header,
    load_potential,
    potential_from_bytes,
    potential_to_bytes,
    read_header,
    save_potential,
    torch_dtype,
)
from lamplighter.model.calculator import Calculator
from lamplighter.model.committee import CommitteeCalculator
from lamplighter.model.config import PotentialConfig
from lamplighter.model.derivatives import (
    Prediction,
    atomic_virials,
    pair_gradients,
    predict,
    predict_energies,
)
from lamplighter.model.evaluate import evaluate
from lamplighter.model.evaluation import Evaluation
from lamplighter.model.exchange import NO_EXCHANGE, GhostExchange
from lamplighter.model.graph import Graph, collate
from lamplighter.model.heads import ConditionSpec, HeadSpec
from lamplighter.model.hessian import Curvature, hessian, hessian_vector_product
from lamplighter.model.neighbors import graph_from_atoms, neighbor_pairs
from lamplighter.model.potential import Potential
from lamplighter.model.select import select

__all__ = [
    "NO_EXCHANGE",
    "Calculator",
    "CommitteeCalculator",
    "ConditionSpec",
    "Curvature",
    "Evaluation",
    "GhostExchange",
    "Graph",
    "HeadSpec",
    "Header",
    "Potential",
    "PotentialConfig",
    "Prediction",
    "atomic_virials",
    "collate",
    "evaluate",
    "graph_from_atoms",
    "hessian",
    "hessian_vector_product",
    "load_potential",
    "neighbor_pairs",
    "pair_gradients",
    "potential_from_bytes",
    "potential_to_bytes",
    "predict",
    "predict_energies",
    "read_header",
    "save_potential",
    "select",
    "torch_dtype",
]
