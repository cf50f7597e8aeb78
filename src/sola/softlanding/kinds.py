"""Values of the settings that are choices; importable without torch."""

from typing import Literal

Form = Literal["adapter", "direct"]
Gate = Literal["tanh", "linear"]
Conditioning = Literal["none", "scale", "center", "center+scale"]
Loss = Literal["similarity_matching", "nt_xent", "softened_inside", "softened_outside"]
Probability = Literal["cosine", "exponential"]
ProjectorKind = Literal["asymmetric", "symmetric"]
