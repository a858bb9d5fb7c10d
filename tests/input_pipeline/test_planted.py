"""Corpora of which it is known what is wrong: reproducible, of the size that was asked for, and apart."""

import pickle
import types

import pytest

from input_pipeline import synthetic
from input_pipeline.synthetic import planted

pytestmark = pytest.mark.fast
SIZE = types.SimpleNamespace(num_documents=40, document_bytes=300)
MAKERS = (
    *(planted.other_stories, planted.held_out_stories, planted.copies),
    *(planted.junk_pages, planted.orders, planted.held_out_orders),
)


@pytest.mark.parametrize("make", MAKERS)
def test_documents_are_of_their_size_and_the_same_in_every_process(make):
    source = make(SIZE)
    texts = [source.read(i) for i in range(len(source))]
    assert {len(text) for text in texts} == {300}
    assert all(text.isascii() for text in texts)
    assert [pickle.loads(pickle.dumps(source)).read(i) for i in range(40)] == texts
    assert len({source.name(i) for i in range(40)}) == 40
    assert len(set(texts)) == (planted.NUM_COPIED if source.kind == "copies" else 40)


def test_no_corpus_shares_a_document_with_another():
    texts = {synthetic.text(i, num_bytes=300) for i in range(40)}
    for make in (planted.other_stories, planted.held_out_stories, planted.orders, planted.held_out_orders):
        found = {make(SIZE).read(i) for i in range(40)}
        assert not found & texts
        texts |= found
    assert {planted.copies(SIZE).read(i) for i in range(40)} < texts, "copies are of stories"
