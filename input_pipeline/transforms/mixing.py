"""Operations that mix the rows of a global batch: `..|batch|mixup(0.2)|cutmix(1.0)`. Their arguments stand here; what
they do is done on the devices, inside the step (`train/mixing.py`)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Mixup:
    """Each row becomes share * row + (1 - share) * another, its label too, with share from Beta(alpha, alpha).

    H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018 (https://arxiv.org/abs/1710.09412), section 2.
    """

    alpha: float = 0.2

    def __post_init__(self) -> None:
        _check_alpha(self.alpha)


@dataclass(frozen=True)
class Cutmix:
    """A rectangle of each image is another's; its label is shared out by area. The share is from Beta(alpha, alpha).

    S. Yun et al., "CutMix", 2019 (https://arxiv.org/abs/1905.04899), section 3.1.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        _check_alpha(self.alpha)


Mixing: TypeAlias = Mixup | Cutmix
MIXING: Mapping[str, Callable[..., Mixing]] = {"mixup": Mixup, "cutmix": Cutmix}


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha: expected a number above 0, got {alpha}")
