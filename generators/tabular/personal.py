"""Personal details made anew: names and addresses by Faker, and e-mail addresses and numbers that are nobody's.

Two kinds of sorts. *Keys* (e-mail, telephone, bank account, ...) come from ranges in which no real one lies and of
which the source uses none (`reserved`): a made one is never one of the source. *Names, addresses, companies, jobs* are
drawn from Faker's lists without a look at the source, so that what a made one shares with a source's is the chance of
common names and tells nothing; to forbid that would tell who is in the source.

A row's made name, first and last name and e-mail address agree, and nothing else does. Columns of one sort are of
different persons in a row: the second `email` belongs to the second `name`.

Texts are cut from pools of what Faker gives for a locale, made once in a process from a seed of their own; numbers in
addresses are then drawn for each row. Faker is imported when something is made, and seeded by instance, never globally.
"""

import re
import string
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from generators.base import GeneratorInputError
from generators.tabular.reserved import domain, first_free, range_of
from sources.errors import did_you_mean
from sources.overrides import LOCALE
from sources.randomness import derive, stream
from sources.schema import PII_KEYS, Column, Pii, Schema

POOL = 2000  # texts of a sort and a locale that are drawn from Faker once
TRIES = 200  # further texts that are drawn for one that stood before, before the lists count as used up
ROOMY: frozenset[Pii] = frozenset({"name", "street_address", "address", "company"})
"""Sorts with so many texts that a column without repeats in the source has none here either."""
_NUMBERED: frozenset[Pii] = frozenset({"street_address", "address", "postcode"})
_LAST_FIRST = frozenset({"hu_HU", "ja_JP", "ko_KR", "vi_VN", "zh_CN", "zh_TW"})
"""Locales whose names begin with the family's, and have no initials that could tell two persons apart."""
_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th"})


@dataclass(frozen=True, kw_only=True)
class Made:
    """How one column of personal details is made; nothing of the source is in it.

    Args:
        sort: as in `sources.schema.Column.pii`.
        locale: one of Faker's.
        variant: of the range of a key, see `reserved.first_free`; 0 for other sorts.
        distinct: no two rows share one.
        digits: only digits, for columns that files hold as numbers.

    """

    sort: Pii
    locale: str
    variant: int
    distinct: bool
    digits: bool

    @property
    def note(self) -> str:
        """What a person should know of it."""
        how = "from a range where none is real" if self.sort in PII_KEYS else "from Faker's lists, not from the source"
        return f"personal details ({self.sort}) are made anew, {how}, and relate to no other modelled column"

    def draw(self, n: int, seed: int) -> list[str]:
        """Return `n` texts; columns with one seed are of the same persons.

        Raises:
            GeneratorInputError: Faker is not there, or has not so many different texts.

        """
        texts = self._texts(n, seed)
        if not self.digits:
            return texts
        return [re.sub(r"[^0-9]", "", text).lstrip("0") or "1" for text in texts]

    def _texts(self, n: int, seed: int) -> list[str]:
        if self.sort == "email":
            return _emails(self._people(n, seed), domain(self.variant))
        if self.sort in PII_KEYS:
            return self._keys(n, stream(seed, self.sort))
        if self.sort in ("name", "first_name", "last_name"):
            people = self._people(n, seed)
            if self.sort == "name":
                names = [" ".join(reversed(one) if self.locale in _LAST_FIRST else one) for one in people]
                return _initialled(names, stream(seed, "initials")) if self.distinct else names
            texts = [one[0 if self.sort == "first_name" else 1] for one in people]
        else:
            rng = stream(seed, self.sort)
            texts = _chosen(_pool(self.locale, self.sort), n, rng)
            if self.sort in _NUMBERED:
                texts = _renumbered(texts, rng)
        return self._different(texts, seed) if self.distinct else texts

    def _people(self, n: int, seed: int) -> list[tuple[str, str]]:
        first = _chosen(_pool(self.locale, "first_name"), n, stream(seed, "first names"))
        last = _chosen(_pool(self.locale, "last_name"), n, stream(seed, "last names"))
        return list(zip(first, last, strict=True))

    def _keys(self, n: int, rng: np.random.Generator) -> list[str]:
        """Return different texts from the range; telephone numbers get longer extensions where it is too narrow."""
        spread, variant = range_of(self.sort, self.locale), self.variant
        assert spread is not None
        while self.sort == "phone_number" and spread.room(variant) < 2 * n:
            variant += 1
        room = spread.room(variant)
        if n > room:
            raise GeneratorInputError(
                f"there are not so many {self.sort} values that are nobody's",
                seen=f"{n:,} of {room:,}",
                remedy="draw fewer rows, or leave the column out (drop: true)",
            )
        found: dict[int, None] = {}
        if 2 * n > room:
            found = dict.fromkeys(rng.permutation(room)[:n].tolist())
        while len(found) < n:
            found |= dict.fromkeys(rng.integers(room, size=n - len(found)).tolist())
        return [spread.text(variant, number) for number in found]

    def _different(self, texts: list[str], seed: int) -> list[str]:
        """Return the texts with those that stood before drawn again; addresses and companies at last with a number."""
        draw, seen = _drawer(self.locale, self.sort, derive(seed, "again", self.sort)), set[str]()
        for place, text in enumerate(texts):
            new, tried = text, 0
            while new in seen:
                tried += 1
                if tried <= TRIES:
                    new = draw()
                elif self.sort in ROOMY:
                    new = f"{text} {tried}"
                else:
                    raise GeneratorInputError(
                        f"Faker has not so many different {self.sort} values for {self.locale}",
                        seen=f"{len(seen):,} of {len(texts):,}",
                        remedy="draw fewer rows, or take the rule unique from the column",
                    )
            seen.add(new)
            texts[place] = new
        return texts

    def to_json(self) -> dict[str, Any]:
        """Return the maker as JSON values."""
        return asdict(self)


def fit_made(column: Column, values: Sequence[str | None]) -> Made:
    """Return how the personal details of `column` are made.

    Args:
        column: one with `pii`.
        values: its cells in training; of them is kept whether they repeat, and which reserved range they leave free.

    Raises:
        GeneratorInputError: Faker is not there or does not know the locale, or no range is free.

    """
    assert column.pii is not None
    sort, locale = column.pii, column.locale or LOCALE
    check_locale(locale)
    present = [value for value in values if value is not None]
    different = set(present)
    free = first_free(sort, locale, different) if sort in PII_KEYS else 0
    roomy = sort in ROOMY and len(different) == len(present) and not (sort == "name" and locale in _LAST_FIRST)
    return Made(
        sort=sort,
        locale=locale,
        variant=free,
        distinct=sort in PII_KEYS or column.rules.unique or roomy,
        digits=column.storage in ("int64", "float64"),
    )


def person_of(schema: Schema, column: Column) -> tuple[str, ...]:
    """Return the labels of the stream of a column: its own name, or the person whose details it holds."""
    if column.pii is None:
        return (column.name,)
    before = schema.columns[: schema.names.index(column.name)]
    return ("a person", str(sum(other.pii == column.pii for other in before)))


def check_locale(locale: str) -> None:
    """Refuse a locale that Faker does not have.

    Raises:
        GeneratorInputError: so it is, or Faker is not installed.

    """
    known = _faker().config.AVAILABLE_LOCALES
    if locale not in known:
        raise GeneratorInputError(
            f"schema.locale: Faker has none of this name{did_you_mean(locale, known)}",
            seen=locale,
            remedy="write another one, such as en_US, en_GB, de_DE or fr_FR",
        )


def _faker() -> Any:
    """Return the package Faker.

    Raises:
        GeneratorInputError: it is not installed.

    """
    try:
        import faker  # noqa: PLC0415 - needed by tables with personal details alone
        import faker.config  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise GeneratorInputError(
            "personal details cannot be made: Faker is not installed",
            remedy="pip install faker -c constraints.txt, or leave the columns with pii out (drop: true)",
        ) from error
    return faker


def _drawer(locale: str, sort: Pii, seed: int) -> Callable[[], str]:
    """Return what draws one text after the other from a Faker of its own."""
    fake = _faker().Faker(locale)
    fake.seed_instance(seed)
    method: Callable[[], str] = getattr(fake, sort)
    return lambda: ", ".join(str(method()).split("\n"))


@lru_cache(maxsize=64)
def _pool(locale: str, sort: Pii) -> tuple[str, ...]:
    """Return `POOL` texts, as often as Faker gives each; the same in every process."""
    draw = _drawer(locale, sort, derive(0, "faker", locale, sort))
    return tuple(draw() for _ in range(POOL))


def _chosen(pool: tuple[str, ...], n: int, rng: np.random.Generator) -> list[str]:
    return [pool[place] for place in rng.integers(len(pool), size=n).tolist()]


def _renumbered(texts: list[str], rng: np.random.Generator) -> list[str]:
    """Return the texts with other digits, no number beginning with 0 that did not."""
    counts = [sum(map(str.isdigit, text)) for text in texts]
    digits = iter(rng.integers(10, size=sum(counts)).tolist())

    def other(found: re.Match[str]) -> str:
        number = [str(next(digits)) for _ in found[0]]
        number[0] = "1" if number[0] == "0" and found[0][0] != "0" else number[0]
        return "".join(number)

    return [re.sub(r"[0-9]+", other, text) for text in texts]


def _initialled(names: list[str], rng: np.random.Generator) -> list[str]:
    """Return the names, those that stood before with middle initials, as many as it needs."""
    seen: set[str] = set()
    for place, name in enumerate(names):
        new, initials = name, ""
        while new in seen:
            initials += f"{string.ascii_uppercase[int(rng.integers(26))]}. "
            first, _, rest = name.partition(" ")
            new = f"{first} {initials}{rest}"
        seen.add(new)
        names[place] = new
    return names


def _emails(people: list[tuple[str, str]], at: str) -> list[str]:
    """Return addresses `first.last@...`, those that stood before with a running number."""
    locals_of = [".".join(filter(None, map(_plain, one))) or "person" for one in people]
    counts: dict[str, int] = {}
    found = []
    for local in locals_of:
        counts[local] = counts.get(local, 0) + 1
        found.append(f"{local}{counts[local] if counts[local] > 1 else ''}@{at}")
    return found


def _plain(name: str) -> str:
    """Return a name in the letters of addresses; nothing is left of scripts that have none of them.

    >>> _plain("Zoë"), _plain("O'Neill"), _plain("Weiß")
    ('zoe', 'oneill', 'weiss')
    """
    bare = unicodedata.normalize("NFKD", name.casefold().translate(_LETTERS))
    return "".join(letter for letter in bare if letter in string.ascii_lowercase)
