"""Personal details in columns: e-mail addresses, telephone numbers, names, addresses, and how they are told.

What has a form of its own (an e-mail address, an IBAN with its check digits) is told by its cells, whatever the column
is called. Names and addresses have none: there the column's name must say it, and the cells must not speak against it.
Columns of few labels that many rows hold (the cities of a chain of shops) are labels and no personal details, but for
what points at one person.
"""

import re
from collections.abc import Callable, Sequence

import pandas as pd

from sources.cells import Cells, label_of
from sources.schema import PII_KEYS, Pii
from sources.words import FEW, MOST_LABELS, SHARED, STRONG_MARKS

ENOUGH = 0.95  # the share of different texts that must have the form: files hold misspelt ones
LONGEST = 500  # letters; prose is no detail
TRIED = 200  # texts that are looked at before all of them are
MOST_DIGITS = 10**19  # of a payment card, ISO/IEC 7812-1
FEWEST_NUMBERS = 20  # numbers whose check digit fits: one in ten fits by chance
_LABELS: frozenset[Pii] = frozenset(
    {"city", "postcode", "country", "company", "job", "url", "ipv4_address", "ipv6_address"}
)
"""Sorts that many people share, so that a column of few of them stays one of labels."""

_EMAIL = re.compile(r"[^@\s,;<>()]{1,64}@[A-Za-z0-9.-]{1,190}\.[A-Za-z]{2,24}")
_URL = re.compile(r"(?:https?|ftp)://[^\s/?#]+\S*", re.IGNORECASE)
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
_IPV4 = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}")
_IPV6 = re.compile(r"(?=(?:.*:){2})[0-9A-Fa-f:]{2,39}(?:%\w+)?")
_SSN = re.compile(r"[0-9]{3}-[0-9]{2}-[0-9]{4}")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_CARD = re.compile(r"[0-9]{4}(?:[ -]?[0-9]){8,15}")
_PHONE = re.compile(r"(?:\+|00|\()?[0-9][0-9\s()./-]{5,20}[0-9](?:\s?(?:x|ext\.?)\s?[0-9]{1,6})?", re.IGNORECASE)
_SURE_PHONE = re.compile(r"\+[1-9].*|\([0-9]{2,5}\).*|[0-9]{3}[-. ][0-9]{3}[-. ][0-9]{4}(?:\D.*)?")
_WORDS = re.compile(r"[^\W\d_][^\d_@/\\:;]*")
_PLACE = re.compile(r"(?=.*[^\W\d_]).+", re.DOTALL)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 -]{1,9}")

_OF_PERSON = (
    "full|customer|client|patient|employee|contact|person|holder|owner|member|student|passenger|guest|user|author|"
    "account_holder|cardholder|beneficiary|display|legal|doctor|applicant|tenant|driver"
)
_HINTS: tuple[tuple[Pii, str, re.Pattern[str]], ...] = (
    ("phone_number", r"(?:^|_)(?:tele)?(?:phone|mobile|tel|cell|fax)(?:_?(?:number|num|no|nr))?(?:_?\d)?$", _PHONE),
    ("ssn", r"(?:^|_)(?:ssn|social_security(?:_number)?)$", re.compile(r"[0-9]{9}")),
    ("first_name", r"(?:^|_)(?:(?:first|given|fore|middle)_?name|fname|vorname|prenom)$|^first$", _WORDS),
    ("last_name", r"(?:^|_)(?:(?:last|family|maiden)_?name|surname|lname|nachname)$|^last$", _WORDS),
    ("name", rf"^(?:(?:{_OF_PERSON})_?)?name$", _WORDS),
    ("street_address", r"(?:^|_)(?:street(?:_?(?:address|name|line))?(?:_?[12])?|address_?(?:line_?)?[12])$", _PLACE),
    ("address", r"(?:^|_)(?:addr|address|anschrift)$", _PLACE),
    ("city", r"(?:^|_)(?:city|town)(?:_name)?$", _WORDS),
    ("postcode", r"(?:^|_)(?:post_?code|postal_?code|zip|zip_?code|plz)$", _CODE),
    ("country", r"(?:^|_)country(?:_name)?$", _WORDS),
    ("company", r"(?:^|_)(?:company|employer|organi[sz]ation)(?:_?name)?$", _PLACE),
    ("job", r"(?:^|_)(?:job|job_?title|occupation|profession)$", _WORDS),
)
"""Sort, what the column's name (in lower case, words joined by _) says, and the form that its cells must have."""

_MONEY = re.compile(r"balance|amount|count|total|price|rate|days|minutes|plan|type|usage")


def sort_of(name: str, cells: Cells) -> tuple[Pii, str] | None:
    """Return the sort of personal detail that a column holds and the reason in words, or None where it holds none.

    Args:
        name: the column's name.
        cells: its cells in their physical form; only texts and whole numbers can be personal details.

    """
    if cells.physical not in ("text", "int", "float") or cells.declared:
        return None
    said = _plain(name)
    if cells.physical != "text" and "card" not in said and not any(re.search(hint, said) for _, hint, _ in _HINTS):
        return None
    counts = cells.series.value_counts(dropna=True)
    if cells.physical != "text":
        return _of_numbers(said, counts)
    kept = [bool(text.strip()) and text.strip() not in STRONG_MARKS for text in counts.index]
    counts = counts[kept]
    texts = [text.strip() for text in counts.index]
    if not texts:
        return None
    found = _of_form(texts) or _of_name(said, texts)
    return None if found is None or _is_label(found[0], len(texts), int(counts.sum())) else found


def _of_numbers(said: str, counts: pd.Series) -> tuple[Pii, str] | None:
    """Return what whole numbers without sign are: telephone numbers and the like lose their marks in some files."""
    values = counts.index.to_list()
    if not values or not all(0 <= value < MOST_DIGITS and value == int(value) for value in values):
        return None
    texts = [label_of(value) for value in values]
    lengths = {len(text) for text in texts}
    if "card" in said and min(lengths) >= 12 and _share(texts, _luhn) >= ENOUGH:  # noqa: PLR2004 - digits of a card
        return "credit_card_number", "numbers with the check digit of payment cards"
    for sort, hint, _ in _HINTS:
        if re.search(hint, said) is None or _MONEY.search(said):
            continue
        widths = {"phone_number": range(9, 16), "ssn": range(9, 10), "postcode": range(3, 7)}.get(sort, range(0))
        if lengths <= set(widths) and not _is_label(sort, len(texts), int(counts.sum())):
            return sort, "its name says so"
    return None


def _of_form(texts: Sequence[str]) -> tuple[Pii, str] | None:
    forms: tuple[tuple[Pii, Callable[[str], bool], str], ...] = (
        ("email", lambda text: _EMAIL.fullmatch(text) is not None, "e-mail addresses"),
        ("url", lambda text: _URL.fullmatch(text) is not None, "web addresses"),
        ("ipv4_address", lambda text: _IPV4.fullmatch(text) is not None, "IP addresses"),
        ("ipv6_address", lambda text: _IPV6.fullmatch(text) is not None, "IP addresses"),
        ("ssn", lambda text: _SSN.fullmatch(text) is not None, "the form of US social security numbers"),
        ("iban", _iban, "bank accounts with their check digits"),
    )
    for sort, fits, words in forms:
        if _share(texts, fits) >= ENOUGH:
            return sort, words
    if len(texts) >= FEWEST_NUMBERS and _share(texts, _card) >= ENOUGH:
        return "credit_card_number", "numbers with the check digit of payment cards"
    if _share(texts, lambda text: _phone(text) and _SURE_PHONE.fullmatch(text) is not None) >= ENOUGH:
        return "phone_number", "the form of telephone numbers"
    return None


def _of_name(said: str, texts: Sequence[str]) -> tuple[Pii, str] | None:
    for sort, hint, form in _HINTS:
        if re.search(hint, said) is None or _MONEY.search(said):
            continue
        fits = _phone if sort == "phone_number" else _fits(form)
        if _share(texts, fits) >= ENOUGH:
            one_line = sort == "address" and _share(texts, lambda text: "," in text or "\n" in text) < 1 - ENOUGH
            return ("street_address" if one_line else sort), "its name says so, and its cells do not deny it"
    return None


def _is_label(sort: Pii, count: int, num_rows: int) -> bool:
    """Return whether so few values in so many rows are labels that people share."""
    if sort in PII_KEYS and sort not in _LABELS:
        return False
    few = count <= FEW and num_rows >= 2 * count
    return few or (sort in _LABELS and count <= MOST_LABELS and num_rows >= SHARED * count)


def _fits(form: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: form.fullmatch(text) is not None


def _share(texts: Sequence[str], fits: Callable[[str], bool]) -> float:
    """Return the share of texts that fit; of the first ones alone where they say that it is too small."""
    first = texts[:TRIED]
    share = sum(len(text) <= LONGEST and fits(text) for text in first) / len(first)
    if share < ENOUGH / 2:
        return share
    return sum(len(text) <= LONGEST and fits(text) for text in texts) / len(texts)


def _plain(name: str) -> str:
    """Return `Customer E-Mail` and `customerEMail` as words in lower case, joined by _."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\W_]+", "_", parted).strip("_").lower()


def _phone(text: str) -> bool:
    return _PHONE.fullmatch(text) is not None and 7 <= sum(map(str.isdigit, text)) <= 21  # noqa: PLR2004 - E.164 and an extension


def _card(text: str) -> bool:
    digits = re.sub(r"[ -]", "", text)
    return _CARD.fullmatch(text) is not None and 12 <= len(digits) <= 19 and _luhn(digits)  # noqa: PLR2004 - ISO/IEC 7812


def _luhn(digits: str) -> bool:
    """Return whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    return luhn_sum(digits) % 10 == 0


def luhn_sum(digits: str) -> int:
    """Return the sum of digits of which every second from the right is doubled, digits of the doubles summed."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value // 10 + value % 10 for value in doubled)


def _iban(text: str) -> bool:
    bare = text.replace(" ", "")
    return _IBAN.fullmatch(bare) is not None and iban_remainder(bare) == 1


def iban_remainder(iban: str) -> int:
    """Return the number that an IBAN stands for, modulo 97; it is 1 where the check digits fit (ISO 13616-1)."""
    return int("".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])) % 97
