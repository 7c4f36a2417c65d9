"""Multi-interest recommendation, small enough to read in an evening.

The names most often needed are here; each module has more. Figures are a separate import (`mi_lite.figures`).
"""

__version__ = "0.1.0"

from mi_lite.capsules import squash
from mi_lite.metrics import evaluate
from mi_lite.mind import MIND, label_aware_attention
from mi_lite.models import SingleVector
from mi_lite.retrieval import top_n
from mi_lite.routing import adaptive_num_interests, b2i_routing, dynamic_routing
from mi_lite.training import TrainConfig, load, save, train

__all__ = [
    "MIND",
    "SingleVector",
    "TrainConfig",
    "adaptive_num_interests",
    "b2i_routing",
    "dynamic_routing",
    "evaluate",
    "label_aware_attention",
    "load",
    "save",
    "squash",
    "top_n",
    "train",
]
