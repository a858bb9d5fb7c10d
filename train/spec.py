"""From a config to frozen, checked specs: below this file there is no ConfigDict.

Each room owns the dataclass that it uses. `read` builds them all, `Run.derive` adds what follows from them, and
`complete` writes out every default, so that any field can be overridden on the command line.
"""

import dataclasses
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

from input_pipeline import tokenizer
from input_pipeline.spec import Data
from models import MODELS
from models.sampling import Sampling
from train.checkpoint import Checkpoint
from train.fields import at_least, build, check_keys, check_section, convert, resolve, with_defaults
from train.objectives import OBJECTIVES
from train.objectives.objective import Objective
from train.optimizer import Optimizer
from train.parallel.attention import Kernels
from train.parallel.mesh import MeshShape
from train.parallel.placement import Remat

VOCAB_MULTIPLE = 128  # the vocabulary is padded to a multiple: meshes divide it, and matmuls like it
DTYPES = ("float32", "bfloat16", "float16")
SPLITS = ("val", "test")
PROFILED_STEPS = 3  # where log.profile names the first one only


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Config section `train`. `batch_size` is global, in rows; `accumulation` cuts it in pieces, run one by one."""

    num_steps: int
    batch_size: int
    accumulation: int = 1

    def __post_init__(self):
        at_least(1, {f"train.{name}": value for name, value in dataclasses.asdict(self).items()})
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
class Evaluation:
    """One named evaluator (config section `eval`): its split of the data and its cadence in steps.

    `every` 0: at the last step alone. The test split is read once, at the end.
    """

    split: str = "val"
    every: int = 0
    batch_size: int = 0  # 0: train.batch_size

    def check(self, path: str, data: Data) -> None:
        """Raises a ValueError that names the field after `path`, such as "eval.val"."""
        at_least(0, {f"{path}.every": self.every, f"{path}.batch_size": self.batch_size})
        if self.split not in SPLITS:
            raise ValueError(f"{path}.split: expected one of {', '.join(SPLITS)}, got {self.split!r}")
        if not getattr(data, f"{self.split}_split"):
            raise ValueError(
                f"{path}.split: {self.split!r} needs data.{self.split}_split, which is empty; "
                f"write for example data.{self.split}_split='train[90%:]'"
            )
        if self.split == "test" and self.every:
            raise ValueError(
                f"{path}.every: the test split is read once, at the end, got {self.every}; write 0, or split='val'"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Log:
    """Config section `log`: steps between lines of metrics, and the steps to profile.

    `profile` "": none, "20": three steps from step 20 on, "20:25": the steps 20 to 24. What costs most is
    printed, and the trace is kept in the workdir's profile/.
    """

    every: int = 10
    profile: str = ""

    def __post_init__(self):
        at_least(1, {"log.every": self.every})
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """A whole run. The fields are the sections of a config."""

    seed: int = 0
    data: Data
    model: Any  # the Config of `model_class`
    objective: Objective
    train: Train
    optimizer: Optimizer
    mesh: MeshShape = MeshShape()
    precision: Precision = Precision()
    remat: Remat = Remat()
    kernels: Kernels = Kernels()
    eval: Mapping[str, Evaluation] = dataclasses.field(default_factory=dict)
    checkpoint: Checkpoint = Checkpoint()
    guard: Guard = Guard()
    log: Log = Log()
    sample: Sample = Sample()
    model_class: Callable

    def __post_init__(self):
        at_least(0, {"seed": self.seed})
        for name, evaluation in self.eval.items():
            evaluation.check(f"eval.{name}", self.data)
        if self.checkpoint.keep_best:
            self._check_best()

    def _check_best(self):
        name = self.checkpoint.best_metric.partition("/")[0]
        if name not in self.eval:
            raise ValueError(
                f"checkpoint.best_metric: expected a metric of an evaluator ({', '.join(self.eval)}), "
                f"got {self.checkpoint.best_metric!r}; write for example 'val/loss'"
            )
        if self.eval[name].split == "test":
            raise ValueError(
                f"checkpoint.best_metric: the test split chooses nothing, got {self.checkpoint.best_metric!r}"
            )

    def derive(self, num_devices: int) -> dict[str, Any]:
        """What follows from the specs on so many devices, for people to read; never read back.

        Raises:
          ValueError: a batch that the mesh and the accumulation do not divide.
        """
        mesh = self.mesh.resolve(num_devices)
        over = f"mesh.data={mesh.data} x mesh.fsdp={mesh.fsdp}"
        num_pieces = mesh.num_batch_shards * self.train.accumulation
        check_multiple("train.batch_size", self.train.batch_size, num_pieces, over=f"{over} x train.accumulation")
        for name, evaluation in self.eval.items():
            size = self.eval_batch_size(evaluation)
            check_multiple(f"eval.{name}.batch_size", size, mesh.num_batch_shards, over=over)
        return {
            "num_devices": num_devices,
            "mesh": dataclasses.asdict(mesh),
            "vocab_size": self.model.vocab_size,
            "tokens_per_step": self.train.batch_size * self.data.seq_len,
            "tokens": self.train.batch_size * self.data.seq_len * self.train.num_steps,
            "micro_batch_per_device": self.train.batch_size // (mesh.num_batch_shards * self.train.accumulation),
        }

    def eval_batch_size(self, evaluation: Evaluation) -> int:
        return evaluation.batch_size or self.train.batch_size


DERIVED = (
    "vocab_size",
    "max_length",
    "param_dtype",
    "compute_dtype",
    "softmax_dtype",
)  # what `model_fields` gives
NAMED: Mapping[str, Mapping[str, Any]] = {
    "model": MODELS,
    "objective": OBJECTIVES,
}  # sections whose `name` chooses the dataclass


def read(config: Mapping[str, Any]) -> Run:
    """Builds and cross-checks a whole run.

    Raises:
      ValueError: one line that says what was expected, what came, and what to write.
    """
    known = [field.name for field in dataclasses.fields(Run) if field.name != "model_class"]
    check_keys(config, known, path="config")
    missing = [name for name in ("data", "model", "objective", "train", "optimizer") if name not in config]
    if missing:
        raise ValueError(f"config: expected the section {missing[0]!r}, got none; see configs/lm_tiny.py for one")
    for name in NAMED:
        check_section(config[name], path=name)
    hints = typing.get_type_hints(Run)
    sections = {name: convert(config[name], hints[name], path=name) for name in config if name not in NAMED}
    model_class = resolve(MODELS, config["model"].get("name", ""), path="model.name")
    objective_class = resolve(OBJECTIVES, config["objective"].get("name", ""), path="objective.name")
    derived = model_fields(sections["data"], sections.get("precision", Precision()))
    return Run(
        **sections,
        model=build(model_class.Config, without_name(config["model"]), path="model", derived=derived),
        model_class=model_class,
        objective=build(objective_class, without_name(config["objective"]), path="objective"),
    )


def model_fields(data: Data, precision: Precision) -> dict[str, Any]:
    """The fields of a language model's config that its data and precision decide."""
    return {
        "vocab_size": -(-tokenizer.vocab_size(data.tokenizer) // VOCAB_MULTIPLE) * VOCAB_MULTIPLE,
        "max_length": data.seq_len,
        "param_dtype": precision.params,
        "compute_dtype": precision.compute,
        "softmax_dtype": precision.softmax,
    }


def check_multiple(field: str, size: int, pieces: int, *, over: str) -> None:
    if size % pieces:
        raise ValueError(
            f"{field}: expected a multiple of {pieces} ({over}), got {size}; write {-(-size // pieces) * pieces}"
        )


def without_name(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "name"}


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with every default written out; what is unknown or missing is left for `read` to say."""
    full: dict[str, Any] = {"seed": 0}
    for name, hint in typing.get_type_hints(Run).items():
        if name in ("seed", "model_class"):
            continue
        section = config.get(name, {})
        if name in NAMED and isinstance(section, Mapping):
            chosen = resolve(NAMED[name], section.get("name", ""), path=f"{name}.name")
            hint = getattr(chosen, "Config", chosen)
        full[name] = with_defaults(section, hint, derived=DERIVED)
    return {**full, **config, **{name: full[name] for name in full if name != "seed"}}
