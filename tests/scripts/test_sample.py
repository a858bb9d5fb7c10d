"""scripts/sample.py: what it prints, for one prompt and for many, and what it says to mistakes."""

import importlib.util
import json
import pathlib

import jax
import pytest
import tiny_runs

from input_pipeline.tokenizer import Bytes
from models.sampling import Sampling
from train import inference
from train.inference import Author, Request

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "sample.py"


@pytest.fixture(scope="module")
def author() -> Author:
    engine = tiny_runs.engine(model__init_std=0.15)
    with jax.set_mesh(engine.mesh):
        params = engine.fresh_state()["params"]
    return Author(model=inference.on_one_device(engine.definition, params), tokenizer=Bytes(), step=3)


@pytest.fixture
def sample(author, monkeypatch, capsys):
    """-> what the script prints for these arguments, and on stderr, and its exit code."""
    spec = importlib.util.spec_from_file_location("sample", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(inference, "load", lambda workdir, step, params: author)

    def call(*arguments: str):
        code = script.main(["--workdir=runs/a", "--num_tokens=20", *arguments])
        said = capsys.readouterr()
        return said.out, said.err, code

    return call


def test_one_prompt_is_printed_with_its_text(author, sample):
    request = Request(num_tokens=20, sampling=Sampling(temperature=1.3, top_k=90, top_p=0.95, min_p=0.001), seed=5)
    [written] = author.write(["some "], request)
    flags = ("--temperature=1.3", "--top_k=90", "--top_p=0.95", "--min_p=0.001", "--seed=5")
    assert sample("--prompt=some ", *flags) == (f"some {written.text}\n", "", 0)


def test_many_prompts_as_lines_do_not_depend_on_the_batch(author, sample, tmp_path):
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "c\\nd"}\n\n{"prompt": "\\u2028", "text": "not read"}\n')
    flags = ("--prompt=a", "--prompt=b", f"--prompts_file={tmp_path / 'prompts.jsonl'}", "--num_samples=2")
    stops = ("--stop=e", "--stop=\n")
    said, _, code = sample(*flags, *stops, "--format=jsonl", "--batch_size=3")
    request = Request(num_tokens=20, sampling=Sampling(temperature=0.8), stop=("e", "\n"))
    prompts = [prompt for prompt in ("a", "b", "c\nd", "\u2028") for _ in range(2)]
    expected = [author.record(written, request) for written in author.write(prompts, request)]
    assert code == 0
    assert [json.loads(line) for line in said.splitlines()] == expected
    assert len({line["text"] for line in expected}) > 4


def test_many_prompts_as_text_say_why_they_ended(author, sample, tmp_path):
    (tmp_path / "prompts.txt").write_text("one\n\ntwo\n")
    said, _, _ = sample(f"--prompts_file={tmp_path / 'prompts.txt'}", "--temperature=0")
    request = Request(num_tokens=20, sampling=Sampling(temperature=0.0))
    one, two = author.write(["one", "two"], request)
    assert said == (
        f"[1 of 2, ended by: {one.ended}]\none{one.text}\n\n[2 of 2, ended by: {two.ended}]\ntwo{two.text}\n\n"
    )


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--top_p=1.5"], "top_p: expected a share above 0, up to 1 (all tokens), got 1.5"),
        (["--temperature=-1"], "temperature: expected a number of 0 (greedy) or more, got -1.0"),
        (["--num_tokens=0"], "num_tokens: expected 1 or more, got 0"),
        (["--num_samples=0"], "num_samples"),
        (["--stop="], "stop: expected strings of one character or more"),
        (["--format=xml"], "format"),
        (["--prompts_file=no/such/file"], "--prompts_file: expected prompts in 'no/such/file', got FileNotFoundError"),
        (["--prompts_file={}/empty.txt"], "got none, or one that is no text"),
        (["--prompts_file={}/odd.jsonl"], "--prompts_file: expected prompts in"),
        (["loose"], "expected --workdir=runs/a and flags, got 'loose'"),
        (["--topk=3"], "topk"),
    ],
)
def test_a_mistake_is_one_line(sample, tmp_path, flags, says):
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "odd.jsonl").write_text('{"text": "a"}\n')
    said, error, code = sample(*(flag.format(tmp_path) for flag in flags))
    assert (said, code) == ("", 2)
    assert says in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
