"""A trained model as something that writes text."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath

from input_pipeline import tokenizer as tokenizers
from input_pipeline.tokenizer import Tokenizer
from models import generate
from models.sampling import Sampling
from train import experiment, keys, spec
from train.checkpoint import Checkpoint, Checkpoints
from train.ema import PARAMS, check_params
from train.parallel.mesh import MeshShape
from train.sections import Sample
from train.state import Definition, State
from train.transcript import Transcript
from train.writer import Writer

STOP, END_OF_DOCUMENT, LENGTH = "stop", "end of document", "length"  # why a text ended


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of an author: how texts are drawn, and when they end.

    A text ends before the stop string that it completes first, of which it holds nothing; at the end of a document; or
    after `num_tokens`.
    """

    num_tokens: int
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self):
        if self.num_tokens < 1:
            raise ValueError(f"num_tokens: expected 1 or more, got {self.num_tokens}")
        if "" in self.stop:
            raise ValueError("stop: expected strings of one character or more, got ''; leave it out")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """The text that follows a prompt, and why it ended: "stop", "end of document" or "length"."""

    prompt: str
    text: str
    ended: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Author:
    """A model bound to its parameters, and its tokenizer."""

    model: Any  # a module with `empty_cache` and `extend`
    tokenizer: Tokenizer
    step: int  # of the parameters

    def write(self, prompts: Sequence[str], request: Request, *, first_row: int = 0) -> list[Written]:
        """The texts that follow prompts of any lengths, in their order, written in one pass.

        Prompt i is written as row `first_row + i`. The text of a row is a function of its prompt, the request and the
        row's number, so it can be had again in another batch, or alone.
        """
        texts, endings = [""] * len(prompts), [""] * len(prompts)
        for row, piece, ended in self._pieces(prompts, request, first_row):
            texts[row] += piece
            endings[row] = ended
        each = zip(prompts, texts, endings, strict=True)
        return [Written(prompt=prompt, text=text, ended=ended) for prompt, text, ended in each]

    def stream(self, prompt: str, request: Request, *, row: int = 0) -> Iterator[str]:
        """The text that `write` gives, piece by piece as it comes. A piece ends where a character does."""
        for _, piece, _ in self._pieces([prompt], request, row):
            if piece:
                yield piece

    def write_samples(self, sample: Sample, *, seed: int, writer: Writer) -> None:
        """Prints the texts that a config's section `sample` asks for, and keeps them in samples.jsonl."""
        request = Request(num_tokens=sample.num_tokens, sampling=sample.sampling, stop=sample.stop, seed=seed)
        texts = self.write(sample.prompts, request)
        writer.write_samples(self.step, [self.record(written, request) for written in texts])
        for written in texts:
            writer.say(f"a sample at temperature {sample.temperature:g}:\n{written.prompt}{written.text}")

    def record(self, written: Written, request: Request) -> dict[str, Any]:
        """A text and how it came about, as a line of samples.jsonl."""
        sampling = dataclasses.asdict(request.sampling)
        return {"step": self.step, "prompt": written.prompt, "text": written.text, **sampling, "ended": written.ended}

    def _pieces(self, prompts: Sequence[str], request: Request, first_row: int) -> Iterator[tuple[int, str, str]]:
        """Yields (index of the prompt, more of its text, why it ended with that or "")."""
        rows = generate.Rows(
            self.model,
            [[self.tokenizer.eod_id, *map(int, self.tokenizer.encode(prompt.encode()))] for prompt in prompts],
            keys_B=keys.sample(request.seed, first_row + jnp.arange(len(prompts))),
            sampling=request.sampling,
            num_ids=self.tokenizer.vocab_size,
            end_id=self.tokenizer.eod_id,
        )
        open_rows = {row: Transcript(self.tokenizer.decode, request.stop) for row in range(len(prompts))}
        num_left, size = request.num_tokens, 1
        while open_rows:
            new = rows.advance(min(size, num_left))
            num_left, size = max(num_left - size, 0), min(2 * size, generate.CHUNK)  # the first piece comes soon
            for row, transcript in list(open_rows.items()):
                piece = transcript.add(new[row])
                is_at_end = not rows.is_open_B[row]
                if is_at_end or not num_left:
                    piece += transcript.end()
                ended = _reason(transcript, is_at_end=is_at_end, num_left=num_left)
                if ended:
                    rows.close(row)
                    del open_rows[row]
                yield row, piece, ended


def _reason(transcript: Transcript, *, is_at_end: bool, num_left: int) -> str:
    """Why a text ended, or "" if it goes on."""
    if transcript.is_stopped:
        return STOP
    if is_at_end:
        return END_OF_DOCUMENT
    return "" if num_left else LENGTH


def on_one_device(definition: Definition, params: State) -> Any:
    """The module of parameters that may lie on many devices; a host's copy would be sent anew with each call."""
    return definition.module(jax.device_put(jax.device_get(params), jax.local_devices()[0]))


def load(workdir: str | os.PathLike[str], *, step: int | None = None, params: str = "trained") -> Author:
    """The model of a workdir's newest good checkpoint, or of one step, on one device.

    `params`: "trained", or "ema" for their average.

    Raises:
      ValueError: there is no checkpoint, no such step, no average in it, or it is damaged.
    """
    folder = epath.Path(workdir)
    with Checkpoints(folder / "checkpoints", Checkpoint()) as checkpoints:
        steps = checkpoints.steps()
        if not steps:
            raise ValueError(f"--workdir: expected a folder with checkpoints, got {str(workdir)!r}; train it first")
        run = spec.read(checkpoints.read_config(steps[-1] if step is None else step))
        if run.objective.reads != "tokens":
            raise ValueError(
                f"--workdir: expected a model of text, got one of data.modality={run.data.modality!r}; "
                "scripts/write_report.py shows what it learned"
            )
        check_params(params, run.ema, path="--params")
        engine = experiment.engine(dataclasses.replace(run, mesh=MeshShape(data=1)), jax.devices()[:1])
        restored = checkpoints.restore_part(engine.abstract_state[PARAMS[params]], part=PARAMS[params], step=step)
    return Author(
        model=on_one_device(engine.definition, restored.state),
        tokenizer=tokenizers.open_saved(run.data.tokenizer, folder),
        step=restored.step,
    )
