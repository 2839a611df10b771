"""Ranges that are kept free of real addresses and numbers, and texts from them.

What points at one person must not only be drawn without looking at the source, it must be nobody's. Standards keep such
ranges: domains (RFC 2606), telephone numbers for fiction (the regulators named below), networks for benchmarks and
documentation (RFC 2544, RFC 1112, RFC 3849), areas that social security numbers never have, countries that banks and
issuers of cards never have (user-assigned codes of ISO 3166).

A source may itself hold such texts, where it was made for trials. So a range has variants, and a fit takes the first
from which on the source holds none; no made text is one of the source then, without any of them being kept.
"""

import ipaddress
import math
import re
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from generators.base import GeneratorInputError
from generators.tabular.id_patterns import positions_of
from sources.personal import iban_remainder, luhn_sum
from sources.schema import Pii

DOMAINS = ("example.org", "example.com", "example.net")
MOST_VARIANTS = 100
ROOM = 4  # texts that a range must have for each one of the source, before a fit takes it

_NANP = ("1", "+1-[2-9][0-8][0-9]-555-01[0-9][0-9]")
_FICTION = {
    "US": _NANP,  # NANPA: 555-0100 to 555-0199 in every area
    "CA": _NANP,
    "GB": ("44", "+44 7700 900[0-9]{3}"),  # Ofcom
    "AU": ("61", "+61 [2378] 5550 [0-9]{4}"),  # ACMA
    "FR": ("33", "+33 6 39 98 [0-9]{2} [0-9]{2}"),  # Arcep
    "DE": ("49", "+49 30 23125 [0-9]{3}"),  # Bundesnetzagentur
}
"""Country -> its code and its numbers for fiction; other countries get those of North America."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """Texts of one sort that are nobody's, in variants from 0.

    Args:
        room: variant -> how many texts there are.
        text: (variant, number below the room) -> the text; different numbers give different texts.
        variant: text -> the variant that it belongs to, or None.
        num_variants: how many there are.

    """

    room: Callable[[int], int]
    text: Callable[[int, int], str]
    variant: Callable[[str], int | None]
    num_variants: int = MOST_VARIANTS


def range_of(sort: Pii, locale: str) -> Range | None:
    """Return the range of a sort, or None for names and addresses, which people share."""
    if sort == "phone_number":
        return _phones(locale[-2:])
    return _RANGES.get(sort)


def first_free(sort: Pii, locale: str, texts: Iterable[str]) -> int:
    """Return the variant from which on no text of the source is of the range, with `ROOM` for as many.

    Raises:
        GeneratorInputError: every variant is in use.

    """
    spread = range_of(sort, locale)
    assert spread is not None, sort
    texts = list(texts)
    used = {spread.variant(text) for text in texts} - {None}
    first = 1 + max(cast("set[int]", used), default=-1)
    while first < spread.num_variants and spread.room(first) < ROOM * len(texts):
        first += 1
    if first >= spread.num_variants:
        raise GeneratorInputError(
            f"the source holds {sort} values in every range that is kept for made ones",
            seen=f"{len(used)} of {spread.num_variants} ranges",
            remedy="leave the column out (drop: true), or set kind: id without pii",
        )
    return first


def domain(variant: int) -> str:
    """Return the domain of made e-mail addresses: one of `DOMAINS`, then further ones under `.example`."""
    return DOMAINS[variant] if variant < len(DOMAINS) else f"mail{variant - len(DOMAINS) + 1}.example"


def _domain_variant(text: str) -> int | None:
    host = text.strip().casefold().rpartition("@")[2]
    known = {domain(variant): variant for variant in range(MOST_VARIANTS)}
    return next((variant for name, variant in known.items() if host == name or host.endswith(f".{name}")), None)


def _patterned(*patterns: str) -> Range:
    """Return a range whose variants are patterns of one length, of characters and dashes."""
    found = [positions_of(pattern) for pattern in patterns]
    positions = [one for one in found if one is not None]
    assert len(positions) == len(patterns), patterns
    bare = [[f"[{allowed}]" for allowed in one if allowed != "-"] for one in positions]
    forms = [re.compile("".join(one)) for one in bare]
    return Range(
        room=lambda variant: math.prod(map(len, positions[variant])),
        text=lambda variant, number: numbered(positions[variant], number),
        variant=lambda text: next(
            (place for place, form in enumerate(forms) if form.fullmatch(re.sub(r"[\s-]", "", text))), None
        ),
        num_variants=len(patterns),
    )


def numbered(pattern: tuple[str, ...], number: int) -> str:
    """Return the text with that number among those with the characters of `pattern`, from 0."""
    letters = []
    for allowed in reversed(pattern):
        number, place = divmod(number, len(allowed))
        letters.append(allowed[place])
    return "".join(reversed(letters))


def _phones(country: str) -> Range:
    """Return numbers for fiction; variant k has an extension of k digits."""
    code, pattern = _FICTION.get(country, _NANP)
    positions = positions_of(pattern.replace("+", r"\+"))
    assert positions is not None, pattern
    bare = tuple(one for one in positions if set(one) <= set(string.digits))[len(code) :]
    national = "".join(f"[{one}]" for one in bare)
    known = re.compile(rf"(?:00)?(?:{code})?0?{national}(?P<extension>[0-9]*)")
    size = math.prod(map(len, positions))

    def variant(text: str) -> int | None:
        found = known.fullmatch(re.sub(r"[^0-9]", "", text))
        return None if found is None else len(found["extension"])

    def text(extension: int, number: int) -> str:
        rest, place = divmod(number, size)
        return numbered(positions, place) + (f"x{rest:0{extension}d}" if extension else "")

    return Range(room=lambda extension: size * 10**extension, text=text, variant=variant, num_variants=20)


def _card(_variant: int, number: int) -> str:
    """Return 16 digits with their check digit: 9 is for national use, 999 no country (ISO/IEC 7812-1)."""
    body = f"9999{number:011d}"
    return body + str(-luhn_sum(body + "0") % 10)


def _iban(variant: int, number: int) -> str:
    """Return an IBAN of a country that ISO 3166 leaves to its users, with its check digits (ISO 13616-1)."""
    country, account = _NO_COUNTRIES[variant], f"{number:018d}"
    return f"{country}{98 - iban_remainder(f'{country}00{account}'):02d}{account}"


_NO_COUNTRIES = ("ZZ", "XZ", "QZ", "AA")


def _iban_variant(text: str) -> int | None:
    country = text.strip()[:2].upper()
    return _NO_COUNTRIES.index(country) if country in _NO_COUNTRIES else None


_BLOCKS = (((198 << 24) + (18 << 16), 17), (240 << 24, 28))
"""IPv4: for benchmarks between hosts (RFC 2544), then reserved for ever (RFC 1112); first address, free bits."""


def _ipv4(variant: int, number: int) -> str:
    address = _BLOCKS[variant][0] + number
    return ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))


def _ipv4_variant(text: str) -> int | None:
    parts = text.strip().split(".")
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):  # noqa: PLR2004 - bytes
        return None
    address = sum(int(part) << shift for part, shift in zip(parts, (24, 16, 8, 0), strict=True))
    return next((k for k, (base, bits) in enumerate(_BLOCKS) if address >> bits == base >> bits), None)


_DOCUMENTS = 0x20010DB8
"""The first 32 bits of IPv6 addresses for documents (RFC 3849); the next 16 are the variant."""


def _ipv6_variant(text: str) -> int | None:
    try:
        address = int(ipaddress.IPv6Address(text.strip()))
    except ValueError:
        return None
    variant = address >> 80 & 0xFFFF
    return variant if address >> 96 == _DOCUMENTS and variant < MOST_VARIANTS else None


def _site(variant: int, number: int) -> str:
    letters = numbered((string.ascii_lowercase,) * 7, number)
    return f"https://{letters}.{'' if not variant else f'site{variant}.'}example/"


def _site_variant(text: str) -> int | None:
    host = re.sub(r"^\w+://", "", text.strip().casefold()).split("/")[0].split(":")[0]
    found = re.search(r"(?:^|\.)(?:site([1-9][0-9]?)\.)?example$", host)
    return None if found is None else int(found[1] or 0)


_RANGES: dict[Pii, Range] = {
    "email": Range(room=lambda _: 10**18, text=lambda k, number: f"p{number}@{domain(k)}", variant=_domain_variant),
    "ssn": _patterned("9[0-9]{2}-[0-4][1-9]-[0-9]{4}", "666-[0-9]{2}-[0-9]{4}", "000-[0-9]{2}-[0-9]{4}"),
    "credit_card_number": Range(
        room=lambda _: 10**11,
        text=_card,
        variant=lambda text: 0 if re.sub(r"[\s-]", "", text).startswith("9999") else None,
        num_variants=1,
    ),
    "iban": Range(room=lambda _: 10**18, text=_iban, variant=_iban_variant, num_variants=len(_NO_COUNTRIES)),
    "ipv4_address": Range(
        room=lambda k: 1 << _BLOCKS[k][1], text=_ipv4, variant=_ipv4_variant, num_variants=len(_BLOCKS)
    ),
    "ipv6_address": Range(
        room=lambda _: 1 << 40,
        text=lambda k, number: f"2001:db8:{k:x}:{number >> 32:x}::{number >> 16 & 0xFFFF:x}:{number & 0xFFFF:x}",
        variant=_ipv6_variant,
    ),
    "url": Range(room=lambda _: 26**7, text=_site, variant=_site_variant),
}
