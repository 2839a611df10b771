"""Ranges in which no real address or number lies."""

import ipaddress
import re
from typing import Any

import pytest

from generators.base import GeneratorInputError
from generators.tabular.reserved import ROOM, first_free, range_of
from sources.randomness import stream
from sources.schema import PII_KEYS, Pii

REALISTIC = {
    "email": "ann@mail.com",
    "phone_number": "+1 (415) 867-5309",
    "ssn": "078-05-1120",
    "credit_card_number": "4111 1111 1111 1111",
    "iban": "GB29 NWBK 6016 1331 9268 19",
    "ipv4_address": "8.8.4.4",
    "ipv6_address": "2a00:1450:4001::1",
    "url": "https://shop.com/ann",
}


@pytest.mark.parametrize("sort", sorted(PII_KEYS))
def test_every_text_of_a_range_is_of_its_variant_and_no_other_texts_are(sort: Pii) -> None:
    spread = range_of(sort, "en_US")
    assert spread is not None
    rng = stream(1, sort)
    for variant in range(min(spread.num_variants, 3)):
        numbers = {0, spread.room(variant) - 1, *rng.integers(spread.room(variant), size=50).tolist()}
        texts = {spread.text(variant, number) for number in numbers}
        assert len(texts) == len(numbers)
        assert {spread.variant(text) for text in texts} == {variant}
    assert spread.variant(REALISTIC[sort]) is None


@pytest.mark.parametrize("sort", sorted(PII_KEYS))
def test_a_fit_takes_a_variant_that_the_source_does_not_use_however_it_writes_it(sort: Pii) -> None:
    spread = range_of(sort, "en_US")
    assert spread is not None
    used = spread.text(0, 7)
    assert first_free(sort, "en_US", [REALISTIC[sort]]) == 0
    if spread.num_variants == 1:
        with pytest.raises(GeneratorInputError, match="in every range"):
            first_free(sort, "en_US", [used])
    else:
        assert first_free(sort, "en_US", [REALISTIC[sort], f" {used.upper()} "]) == 1


@pytest.mark.parametrize(
    ("sort", "text", "first"),
    [
        ("ipv6_address", "2001:db8:85a3::8a2e:370:7334", 0),  # for documents, but in no network that is drawn from
        ("ipv6_address", "2001:db8::1", 1),
        ("ipv6_address", "2001:0DB8:0000:0:0:0:0:1", 1),
        ("ipv6_address", "2001:db8:1::1", 2),
        ("ipv6_address", "2001:db8:zz::1", 0),
        ("ipv4_address", "1.2.3.²", 0),
        ("ipv4_address", "198.18.0.1", 1),
    ],
)
def test_addresses_are_known_in_every_spelling_and_misspelt_ones_are_not(sort: Pii, text: str, first: int) -> None:
    assert first_free(sort, "en_US", [text]) == first


def test_a_phone_number_is_known_with_and_without_the_code_of_its_country() -> None:
    for country, number, other in (
        ("en_US", "(212) 555-0142", "(212) 556-0142"),
        ("en_GB", "07700 900123", "07700 910123"),
        ("de_DE", "030 23125 077", "030 23126 077"),
        ("fr_FR", "06.39.98.12.34", "06.39.97.12.34"),
    ):
        spread = range_of("phone_number", country)
        assert spread is not None
        assert (spread.variant(number), spread.variant(other)) == (0, None)
        assert spread.variant(f"{number} x12") == 2


def test_a_range_has_room_for_a_large_source() -> None:
    numbers = [f"+44 20 79{n:02d} {n % 10_000:04d}" for n in range(1000)]
    variant = first_free("phone_number", "en_GB", numbers)
    spread = range_of("phone_number", "en_GB")
    assert spread is not None
    assert spread.room(variant) >= ROOM * len(numbers) > spread.room(variant - 1)


def test_made_numbers_keep_the_checks_of_their_kind_and_lie_where_no_real_ones_do() -> None:
    def some(sort: Pii, variant: int = 0) -> list[str]:
        spread: Any = range_of(sort, "en_US")
        return [spread.text(variant, number) for number in stream(2, sort).integers(spread.room(variant), size=40)]

    for card in some("credit_card_number"):
        digits = [int(digit) for digit in reversed(card)]
        assert sum(digits[0::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0
        assert card.startswith("9999")
    for iban in some("iban"):
        assert int("".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])) % 97 == 1
        assert iban.startswith("ZZ")
    benchmarks, later = ipaddress.ip_network("198.18.0.0/15"), ipaddress.ip_network("240.0.0.0/4")
    assert all(ipaddress.ip_address(text) in benchmarks for text in some("ipv4_address"))
    assert all(ipaddress.ip_address(text) in later for text in some("ipv4_address", 1))
    documents = ipaddress.ip_network("2001:db8::/32")
    assert all(ipaddress.ip_address(text) in documents for text in some("ipv6_address", 3))
    assert all(re.fullmatch(r"9\d\d-[0-4][1-9]-\d{4}", text) for text in some("ssn"))
    assert all(re.fullmatch(r"\+1-[2-9][0-8]\d-555-01\d\d", text) for text in some("phone_number"))
    assert all(re.fullmatch(r"https://[a-z]{7}\.example/", text) for text in some("url"))
