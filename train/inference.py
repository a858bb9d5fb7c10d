"""A trained model as something that writes text."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import jax
from etils import epath

from input_pipeline import tokenizer as tokenizers
from input_pipeline.tokenizer import Tokenizer
from models import generate
from train import experiment, keys, spec
from train.checkpoint import Checkpoint, Checkpoints
from train.parallel.mesh import MeshShape


@dataclasses.dataclass(frozen=True)
class Author:
    """A model bound to its parameters, and its tokenizer."""

    model: Any  # a module with `config` and `extend`
    tokenizer: Tokenizer

    def stream(self, prompt: str, *, num_tokens: int, temperature: float, seed: int) -> Iterator[str]:
        """Yields the text that follows the prompt, piece by piece; together the pieces are the whole of it.

        A piece ends where a character does, however many tokens it takes. It stops at the end of a document.
        """
        ids = [self.tokenizer.eod_id, *map(int, self.tokenizer.encode(prompt.encode()))]
        written, chosen = "", list[int]()
        for token in generate.tokens(
            self.model,
            ids,
            num_tokens=num_tokens,
            temperature=temperature,
            key=keys.sample(seed),
            num_ids=self.tokenizer.vocab_size,
        ):
            if token == self.tokenizer.eod_id:
                break
            chosen.append(token)
            text = self.tokenizer.decode(chosen)
            if not text.endswith("\ufffd"):
                yield text[len(written) :]
                written = text
        if chosen:
            yield self.tokenizer.decode(chosen)[len(written) :]


def load(workdir: str | os.PathLike[str], *, step: int | None = None) -> Author:
    """The model of a workdir's newest good checkpoint, or of one step, on one device.

    Raises:
      ValueError: there is no checkpoint, no such step, or it is damaged.
    """
    folder = epath.Path(workdir)
    with Checkpoints(folder / "checkpoints", Checkpoint()) as checkpoints:
        steps = checkpoints.steps()
        if not steps:
            raise ValueError(f"--workdir: expected a folder with checkpoints, got {str(workdir)!r}; train it first")
        run = spec.read(checkpoints.read_config(steps[-1] if step is None else step))
        engine = experiment.engine(dataclasses.replace(run, mesh=MeshShape(data=1)), jax.devices()[:1])
        restored = checkpoints.restore_part(engine.abstract_state["params"], part="params", step=step)
    module = engine.definition.module(jax.device_get(restored.state))
    return Author(module, tokenizers.open_saved(run.data.tokenizer, folder))
