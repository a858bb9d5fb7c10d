"""The sections of a config that no room owns: how long, in which precision, how often evaluated, told and sampled."""

import dataclasses
import re
from typing import Any

from models.sampling import Sampling
from train import durations
from train.durations import Every
from train.ema import Ema, check_params
from train.fields import at_least, nearest

DTYPES = ("float32", "bfloat16", "float16")
SPLITS = ("val", "test")
PROFILED_STEPS = 3  # where log.profile names the first one only


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Config section `train`. The length of a run stands in one of the four `num_` fields.

    `batch_size` is global, in rows; `accumulation` cuts it in pieces, run one by one.
    """

    num_steps: int = 0
    num_tokens: int = 0
    num_examples: int = 0
    num_epochs: float = 0.0
    batch_size: int
    accumulation: int = 1

    def __post_init__(self):
        durations.check(self, "train", needed=["num_steps"])
        at_least(1, {"train.batch_size": self.batch_size, "train.accumulation": self.accumulation})
        if self.batch_size % self.accumulation:
            raise ValueError(
                f"train.accumulation: expected a divisor of train.batch_size={self.batch_size}, "
                f"got {self.accumulation}; write a batch size that is a multiple of {self.accumulation}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Precision:
    """Config section `precision`: dtypes of stored parameters, of matmuls, of the softmax in attention."""

    params: str = "float32"
    compute: str = "float32"
    softmax: str = "float32"

    def __post_init__(self):
        for name, dtype in dataclasses.asdict(self).items():
            if dtype not in DTYPES:
                raise ValueError(f"precision.{name}: expected one of {', '.join(DTYPES)}, got {dtype!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(Every):
    """One named evaluator (config section `eval`): its split of the data and its cadence.

    Without a cadence: at the last step alone. The test split is read once, at the end. `part` names one corpus of
    `data.mixture`; "" reads all that have the split.
    """

    split: str = "val"
    part: str = ""
    batch_size: int = 0  # 0: train.batch_size
    params: str = "trained"  # or "ema": their average, with the running statistics of those that are trained
    explain: bool = True  # confusion, curves and mistakes in the report, at the last step
    transforms: str = ""  # in the place of data.eval_transforms, such as "corrupt('blur', 3)|normalize"

    def check(self, path: str, data: Any, ema: Ema) -> None:
        """Raises a ValueError that names the field after `path`, such as "eval.val"."""
        check_params(self.params, ema, path=f"{path}.params")
        durations.check(self, path)
        at_least(0, {f"{path}.batch_size": self.batch_size})
        self._check_transforms(path, data)
        if self.split not in SPLITS:
            raise ValueError(f"{path}.split: expected one of {', '.join(SPLITS)}, got {self.split!r}")
        if self.part and self.part not in data.mixture:
            known = ", ".join(map(repr, ["", *data.mixture]))
            meant = nearest(self.part, data.mixture)
            raise ValueError(f"{path}.part: expected one of {known} (data.mixture), got {self.part!r}{meant}")
        part = self.part or next(iter(data.mixture), "")
        field = f"data.mixture.{part}.{self.split}_split" if part else f"data.{self.split}_split"
        parts = [data.parts[self.part]] if self.part else data.parts.values()
        if not any(getattr(part, f"{self.split}_split") for part in parts):
            raise ValueError(
                f"{path}.split: {self.split!r} needs {field}, which is empty; write for example {field}='train[90%:]'"
            )
        if self.split == "test" and (cadence := durations.all_given(self)):
            (amount,) = (f"{value} {unit}" for unit, value in cadence["every"].items())
            raise ValueError(
                f"{path}.every: the test split is read once, at the end, got {amount}; write 0, or split='val'"
            )

    def _check_transforms(self, path: str, data: Any) -> None:
        if not self.transforms:
            return
        if data.modality == "text":
            raise ValueError(f"{path}.transforms: expected none for text, got {self.transforms!r}")
        try:
            data.planned("eval_transforms", instead=self.transforms)
        except ValueError as error:
            raise ValueError(str(error).replace("data.eval_transforms", f"{path}.transforms", 1)) from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Log(Every):
    """Config section `log`: how often there is a line of metrics, and the steps to profile.

    `profile` "": none, "20": three steps from step 20 on, "20:25": the steps 20 to 24. The operations that cost
    most are printed, and the trace is kept in the workdir's profile/.
    """

    every: int = 10
    profile: str = ""

    def __post_init__(self):
        durations.check(self, "log", needed=["every"])
        if self.profile and not self.profiled_steps:
            raise ValueError(
                "log.profile: expected a step such as '20', or steps such as '20:25', the last one not among them, "
                f"got {self.profile!r}"
            )

    @property
    def profiled_steps(self) -> range:
        """The steps that `profile` names; none if it does not read so."""
        found = re.fullmatch(r"([1-9]\d*)(?::([1-9]\d*))?", self.profile)
        return range(int(found[1]), int(found[2] or int(found[1]) + PROFILED_STEPS)) if found else range(0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Guard:
    """Config section `guard`. Steps that are not finite are skipped; so many in a row end the run."""

    max_skipped: int = 50

    def __post_init__(self):
        at_least(1, {"guard.max_skipped": self.max_skipped})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """Config section `sample`: texts that are written at the end of a run, one for each prompt; 0 tokens: none.

    `models/sampling.py` says what `temperature`, `top_k`, `top_p` and `min_p` mean. A text ends before the first of the
    strings in `stop`, at the end of a document, or after `num_tokens`.
    """

    prompt: str = "\n"
    more_prompts: tuple[str, ...] = ()
    num_tokens: int = 0
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    params: str = "trained"  # or "ema"

    def __post_init__(self):
        at_least(0, {"sample.num_tokens": self.num_tokens})
        try:
            assert self.sampling
        except ValueError as error:
            raise ValueError(f"sample.{error}") from None

    @property
    def prompts(self) -> tuple[str, ...]:
        return (self.prompt, *self.more_prompts)

    @property
    def sampling(self) -> Sampling:
        return Sampling(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p, min_p=self.min_p)
