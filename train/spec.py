"""From a config to frozen, checked specs: below this file there is no ConfigDict.

Each room owns the dataclass that it uses, and the small ones stand in sections.py. `read` builds them all, `Run.derive`
adds what follows from them, and `complete` writes out every default, so that any field can be overridden on the command
line.
"""

import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any

from input_pipeline import tokenizer
from input_pipeline.labelled.spec import MODALITIES, LabelledData
from input_pipeline.spec import Data
from models import MODELS
from train import durations
from train.checkpoint import Checkpoint
from train.durations import Pace
from train.ema import Ema, check_params
from train.fields import at_least, build, check_keys, check_section, convert, flat, resolve, with_defaults
from train.objectives import OBJECTIVES
from train.objectives.objective import Objective
from train.optimizer import OPTIMIZERS, Optimizer
from train.parallel.attention import Kernels
from train.parallel.mesh import MeshShape
from train.parallel.placement import Remat
from train.sections import Evaluation, Guard, Log, Precision, Sample, Train

VOCAB_MULTIPLE = 128  # the vocabulary is padded to a multiple: meshes divide it, and matmuls like it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """A whole run. The fields are the sections of a config."""

    seed: int = 0
    data: Any  # of `DATA`, by its modality
    model: Any  # the Config of `model_class`
    objective: Objective
    train: Train
    optimizer: Optimizer
    ema: Ema = Ema()
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
        check_multiple("train.batch_size", self.train.batch_size, self.data.rows_per_class, over="data.rows_per_class")
        if self.objective.whole_batch:
            self._check_whole_batch()
        if self.remat.policy != "none" and not hasattr(self.model, "num_layers"):
            raise ValueError(
                f"remat.policy: expected 'none' for a model whose layers are not stacked, got {self.remat.policy!r}"
            )
        if self.sample.num_tokens and self.objective.reads != "tokens":
            raise ValueError(f"sample.num_tokens: expected 0 for {self.data.modality}, got {self.sample.num_tokens}")
        for name, evaluation in self.eval.items():
            evaluation.check(f"eval.{name}", self.data, self.ema)
        check_params(self.sample.params, self.ema, path="sample.params")
        if self.checkpoint.keep_best:
            self._check_best()

    def _check_whole_batch(self):
        if self.train.accumulation > 1:
            raise ValueError(
                f"train.accumulation: expected 1, since the objective compares all rows of a batch, got "
                f"{self.train.accumulation}; write a batch_size that fits as a whole"
            )
        if self.data.mixing:
            raise ValueError(
                f"data.transforms: expected no mixing of rows, since the objective compares them by their classes, got "
                f"{self.data.transforms!r}; leave out mixup and cutmix"
            )

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
            **{name: getattr(self.model, name) for name in ("vocab_size", "num_outputs") if hasattr(self.model, name)},
            f"{self.data.unit}_per_step": self.train.batch_size * self.data.example_tokens,
            "micro_batch_per_device": self.train.batch_size // (mesh.num_batch_shards * self.train.accumulation),
        }

    def pace(self, epoch_examples: int = 0) -> Pace:
        """What a step takes; 0 examples an epoch: not known."""
        return Pace(
            step_examples=self.train.batch_size,
            example_tokens=self.data.example_tokens,
            epoch_examples=epoch_examples,
        )

    @property
    def lengths_in_epochs(self) -> list[str]:
        """The durations, cadences apart, that need the data to be told in steps: ["train.num_steps"]."""
        given = durations.all_given(self)
        return [path for path in given if "epochs" in given[path] and not durations.is_cadence(path)]

    def durations(self, epoch_examples: int = 0) -> dict[str, dict[str, float]]:
        """Every duration and cadence in all units that are known, by the dotted path of its field in steps."""
        pace = self.pace(epoch_examples)
        return {path: pace.in_all_units(duration) for path, duration in durations.all_given(self).items()}

    def eval_batch_size(self, evaluation: Evaluation) -> int:
        return evaluation.batch_size or self.train.batch_size


DATA = {"text": Data, **dict.fromkeys(MODALITIES, LabelledData)}
NAMED: Mapping[str, Mapping[str, Any]] = {
    "model": MODELS,
    "objective": OBJECTIVES,
    "optimizer": OPTIMIZERS,
}  # sections whose `name` chooses the dataclass
DERIVED = ("vocab_size", "max_length", "input_shape", "num_outputs", "param_dtype", "compute_dtype", "softmax_dtype")


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
    hints = {**typing.get_type_hints(Run), "data": data_class(config["data"])}
    sections = {name: convert(config[name], hints[name], path=name) for name in config if name not in NAMED}
    chosen = {name: resolve(NAMED[name], config[name].get("name", ""), path=f"{name}.name") for name in NAMED}
    objective = build(chosen["objective"], without_name(config["objective"]), path="objective")
    derived = derived_fields(sections["data"], objective, sections.get("precision", Precision()))
    _check_fit(config, sections["data"], objective, chosen["model"])
    takes = {field.name for field in dataclasses.fields(chosen["model"].Config)}
    return Run(
        **sections,
        model=build(
            chosen["model"].Config,
            without_name(config["model"]),
            path="model",
            derived={name: value for name, value in derived.items() if name in takes},
        ),
        model_class=chosen["model"],
        objective=objective,
        optimizer=build(chosen["optimizer"], without_name(config["optimizer"]), path="optimizer"),
    )


def data_class(section: Any) -> type:
    """The dataclass of the section `data`, by its modality."""
    check_section(section, path="data")
    return resolve(DATA, section.get("modality", "text"), path="data.modality")


def derived_fields(data: Any, objective: Objective, precision: Precision) -> dict[str, Any]:
    """The fields of a model's config that data, objective and precision decide; each model has some of them."""
    if data.modality == "text":
        vocab_size = -(-tokenizer.vocab_size(data.tokenizer) // VOCAB_MULTIPLE) * VOCAB_MULTIPLE
        shape = {"vocab_size": vocab_size, "max_length": data.seq_len}
    else:
        shape = {"input_shape": data.shape, "num_outputs": objective.num_outputs(data)}
    return {
        **shape,
        "param_dtype": precision.params,
        "compute_dtype": precision.compute,
        "softmax_dtype": precision.softmax,
    }


def _check_fit(config: Mapping[str, Any], data: Any, objective: Objective, model: Any) -> None:
    """Raises a ValueError unless model and objective read what the data is."""
    given = "tokens" if data.modality == "text" else "examples"
    fields = {field.name for field in dataclasses.fields(model.Config)}
    found = {"model": "tokens" if "vocab_size" in fields else "examples", "objective": objective.reads}
    for section, reads in found.items():
        if reads != given:
            raise ValueError(
                f"{section}.name: expected one that reads {given}, as data.modality={data.modality!r} gives, got "
                f"{config[section]['name']!r}, which reads {reads}"
            )


def check_multiple(field: str, size: int, pieces: int, *, over: str) -> None:
    if size % pieces:
        raise ValueError(
            f"{field}: expected a multiple of {pieces} ({over}), got {size}; write {-(-size // pieces) * pieces}"
        )


def without_name(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "name"}


def class_of(section: str, name: str) -> type:
    """The dataclass that `name` chooses in a section of `NAMED`."""
    chosen = resolve(NAMED[section], name, path=f"{section}.name")
    return getattr(chosen, "Config", chosen)


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with every default written out; what is unknown or missing is left for `read` to say."""
    full: dict[str, Any] = {"seed": 0}
    for name, hint in typing.get_type_hints(Run).items():
        if name in ("seed", "model_class"):
            continue
        section = config.get(name, {})
        if name == "data" and isinstance(section, Mapping):
            hint = data_class(section)
        if name in NAMED and isinstance(section, Mapping):
            hint = class_of(name, section.get("name", ""))
        full[name] = with_defaults(section, hint, derived=DERIVED)
    full = {**full, **config, **{name: full[name] for name in full if name != "seed"}}
    return durations.give_way(full, chosen=flat(config))[0]


def defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config would be, written out, if it named its classes and sections and said nothing else.

    Those names are left out: they have no defaults.
    """

    def bare(section: Mapping[str, Any]) -> dict[str, Any]:
        return {name: bare(inner) for name, inner in section.items() if isinstance(inner, Mapping)}

    named = bare(config)
    if "modality" in config.get("data", {}):
        named["data"]["modality"] = config["data"]["modality"]
    for name in NAMED:
        if name in named and "name" in config[name]:
            named[name]["name"] = config[name]["name"]
    full = complete(named)
    return {**full, **{name: without_name(full[name]) for name in NAMED}}
