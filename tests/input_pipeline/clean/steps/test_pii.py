"""What points to a person is masked, and what only looks like it is not."""

import time

import pytest
from awkward_texts import TEXTS, run, texts_of
from hypothesis import given, settings
from hypothesis import strategies as st

from input_pipeline.clean.record import Record
from input_pipeline.clean.steps.text import numbers, pii

pytestmark = pytest.mark.fast

MASKED = {
    "Write to jane.doe+news@mail.example.com.": "Write to <EMAIL>.",
    "<joe@x.org>, 'ann@x.org'; mailto:bob@x.org?": "<<EMAIL>>, '<EMAIL>'; mailto:<EMAIL>?",
    "联系jane@example.cn谢谢": "联系<EMAIL>谢谢",
    "bounce-joe=example.com@lists.example.net": "<EMAIL>",
    "from 8.8.8.8 by [193.120.211.219]:25": "from <IP> by [<IP>]:25",
    "dns 2001:4860:4860::8888, 2606:4700::": "dns <IP>, <IP>",
    "Call +353-1-609 6000 or (415) 555-2671.": "Call <PHONE> or <PHONE>.",
    "1-800-555-0199 / 800.555.0199, 1 (415) 555-2671": "<PHONE> / <PHONE>, <PHONE>",
    "+49 (0)30 901820": "<PHONE>",
    "Visa 4111 1111 1111 1111, Amex 3782-822463-10005": "Visa <CARD>, Amex <CARD>",
    "2223003122003222": "<CARD>",
    "IBAN GB82 WEST 1234 5698 7654 32 AND MORE": "IBAN <IBAN> AND MORE",
    "DE89370400440532013000": "<IBAN>",
}
KEPT = (
    *("jm@localhost", "a @ b.com", "@handle.com", "user@.com", "x@1.2", "@@@@", "name@domain.c"),
    *("10.0.0.1 192.168.1.1 127.0.0.1", "1.2.3.4.5", "v8.8.8.8", "999.1.1.1", "8.8.8", "fe80::1 ::1 2001:db8::1"),
    *("std::cout 12:34:56 2023:12:01", "2002-08-22 12:36:23 +0100", "1030042463", "call 555-2671", "0x4155552671"),
    *("4111 1111 1111 1112", "9111111111111111", "41111111111111110", "GB82 WEST 1234 5698 7654 33", "AA00"),
)


@pytest.mark.parametrize("text", MASKED)
def test_what_points_to_a_person_is_masked(text):
    assert texts_of(run("mask_pii", [text])) == [MASKED[text]]


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_like_it_stays(text):
    assert run("mask_pii", [text]).entries == []


def test_the_ledger_counts_what_was_masked_and_does_not_show_it():
    outcome = run("mask_pii", ["a@b.org 8.8.8.8 c@d.org", "nothing"])
    (entry,) = outcome.entries
    assert (entry.id, entry.rule, entry.value, entry.action) == ("0", "mask_pii.found", "email 2, ip 1", "changed")
    assert entry.excerpt == "<EMAIL> <IP> <EMAIL>"


def test_only_the_wanted_kinds_are_masked():
    assert texts_of(run("mask_pii(('ip',))", ["a@b.org 8.8.8.8"])) == ["a@b.org <IP>"]
    with pytest.raises(ValueError, match="kinds: expected some of email, "):
        run("mask_pii(('names',))", [])


@pytest.mark.parametrize("finder", pii.FINDERS.values())
def test_places_are_in_order_and_inside_the_text(finder):
    for text in (*TEXTS, "".join(MASKED), " ".join(KEPT)):
        spans = list(finder(text))
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert spans == sorted(spans)


def test_time_is_linear_in_the_text():
    """Patterns that try again at every place would need hours for these."""
    start_s = time.perf_counter()
    run(
        "mask_pii",
        [unit * (400_000 // len(unit)) for unit in ("a", "1", "a.", "1.", "@", "a@", "AB12 ", "20a:", "+1-")],
    )
    assert time.perf_counter() - start_s < 30


@given(st.integers(10**11, 10**15), st.integers(0, 14), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_luhns_check_finds_every_single_wrong_digit(payload, place, step):
    check = next(digit for digit in "0123456789" if numbers.luhn(f"{payload}{digit}"))
    number = list(f"{payload}{check}")
    place %= len(number)
    number[place] = str((int(number[place]) + step) % 10)
    assert not numbers.luhn("".join(number))


# Published test numbers: the issuers' own, and the examples of the IBAN registry.
@pytest.mark.parametrize("digits", ["4242424242424242", "5555555555554444", "6011111111111117", "3530111333300000"])
def test_published_card_numbers_are_cards(digits):
    assert numbers.is_card(digits)
    assert not numbers.is_card(digits[:-1] + str((int(digits[-1]) + 1) % 10))


@pytest.mark.parametrize(
    "iban", ["FR1420041010050500013M02606", "NL91ABNA0417164300", "NO9386011117947", "MT84MALT011000012345MTLCAST001S"]
)
def test_published_accounts_are_accounts(iban):
    assert numbers.iban_end(iban) == len(iban)
    assert numbers.iban_end(iban + "X") == len(iban)
    assert numbers.iban_end(iban[:-1]) == 0
    swapped = iban[:5] + iban[6] + iban[5] + iban[7:]
    assert swapped == iban or numbers.iban_end(swapped) == 0


@pytest.mark.fast
def test_fields_are_masked_too_unless_told_otherwise():
    fields = {"from": "Ada <ada@example.org>", "subject": "hello", "year": 2002}
    [record], [entry] = pii.MaskPii()([Record("a", text="nothing", fields=fields)])
    assert record.fields == {"from": "Ada <<EMAIL>>", "subject": "hello", "year": 2002}
    assert (entry.rule, entry.value, entry.action) == ("mask_pii.fields", "from", "changed")
    assert pii.MaskPii(fields=False)([Record("a", text="nothing", fields=fields)]).records[0].fields == fields
