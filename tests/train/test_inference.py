"""An author of texts: batches, endings, stop strings. Its model knows nothing, which is enough to write."""

import itertools

import jax
import pytest
import tiny_runs

from input_pipeline.tokenizer import Bytes
from models.sampling import Sampling
from train import inference
from train.inference import Author, Request

PROMPTS = ["", "a", "some words", "é€", "x" * 100, "\n", "a", "b"]
DRAWN = Request(num_tokens=150, sampling=Sampling(temperature=1.5, top_p=0.98), seed=4)


@pytest.fixture(scope="module")
def author() -> Author:
    engine = tiny_runs.engine(model__init_std=0.15)
    with jax.set_mesh(engine.mesh):
        params = engine.fresh_state()["params"]
    return Author(model=inference.on_one_device(engine.definition, params), tokenizer=Bytes(), step=3)


@pytest.fixture(scope="module")
def written(author):
    return author.write(PROMPTS, DRAWN)


def test_a_text_in_a_batch_is_the_text_alone(author, written):
    for row, prompt in enumerate(PROMPTS):
        assert author.write([prompt], DRAWN, first_row=row) == [written[row]]
        assert "".join(author.stream(prompt, DRAWN, row=row)) == written[row].text
    assert written[1].text != written[6].text, "one prompt, two rows"
    assert author.write(PROMPTS[3:5], DRAWN, first_row=3) == written[3:5]


def test_texts_end_by_themselves_or_at_their_length(author, written):
    assert [text.prompt for text in written] == PROMPTS
    for text, ids in zip(written, rows_of_ids(author), strict=True):
        assert text.text == bytes(ids).decode("utf-8", "replace")
        assert text.ended == ("length" if len(ids) == DRAWN.num_tokens else "end of document")
    assert {text.ended for text in written} == {"length", "end of document"}


def rows_of_ids(author) -> list[list[int]]:
    """What the model gives for these prompts and keys, without an author."""
    from models import generate
    from train import keys

    rows = generate.Rows(
        author.model,
        [[256, *prompt.encode()] for prompt in PROMPTS],
        keys_B=keys.sample(DRAWN.seed, jax.numpy.arange(len(PROMPTS))),
        sampling=DRAWN.sampling,
        num_ids=257,
        end_id=256,
    )
    return rows.advance(DRAWN.num_tokens)


def test_a_text_ends_before_a_stop_string(author, written):
    """Strings from the middle of what is written anyway; each text is cut at its own."""
    row, other = sorted(range(len(PROMPTS)), key=lambda row: -len(written[row].text))[:2]
    stop = (written[row].text[10:13], written[other].text[20:22], "never written")
    request = Request(num_tokens=DRAWN.num_tokens, sampling=DRAWN.sampling, seed=DRAWN.seed, stop=stop)
    stopped = author.write(PROMPTS, request)
    for before, after in zip(written, stopped, strict=True):
        found = [at for at in map(before.text.find, stop) if at >= 0]
        assert after.text == before.text[: min(found, default=len(before.text))]
        assert after.ended == ("stop" if found else before.ended)
    assert sum(text.ended == "stop" for text in stopped) >= 2
    pieces = list(author.stream(PROMPTS[row], request, row=row))
    assert "".join(pieces) == stopped[row].text
    shown = list(itertools.accumulate(pieces))
    assert not any(stop[0] in text for text in shown)


def test_a_record_says_how_a_text_came_about(author, written):
    assert author.record(written[1], DRAWN) == {
        "step": 3,
        "prompt": "a",
        "text": written[1].text,
        "temperature": 1.5,
        "top_k": 0,
        "top_p": 0.98,
        "min_p": 0.0,
        "ended": written[1].ended,
    }


@pytest.mark.fast
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (dict(num_tokens=0), "num_tokens: expected 1 or more, got 0"),
        (dict(num_tokens=1, stop=("a", "")), "stop: expected strings of one character or more"),
    ],
)
def test_wrong_requests(wrong, says):
    with pytest.raises(ValueError, match=says):
        Request(**wrong)
