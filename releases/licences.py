"""Licences as the dataset card and Croissant name them: the hub's own identifiers, SPDX pages, or plain words.

Identifiers: https://huggingface.co/docs/hub/repositories-licenses and https://spdx.org/licenses.
"""

import re

HUB_LICENCES = frozenset(
    {
        "apache-2.0", "mit", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "isc", "zlib", "unlicense",
        "wtfpl", "postgresql", "ncsa", "ms-pl", "afl-3.0", "artistic-2.0", "bsl-1.0", "ecl-2.0", "epl-1.0", "epl-2.0",
        "eupl-1.1", "eupl-1.2", "osl-3.0", "mpl-2.0", "lppl-1.3c", "ofl-1.1", "etalab-2.0", "agpl-3.0", "gpl",
        "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "gfdl", "c-uda", "cc", "cc0-1.0", "cc-by-2.0",
        "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-2.0",
        "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0", "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "odc-by", "odbl", "pddl",
        "openrail", "bigscience-openrail-m", "unknown", "other",
    }
)  # fmt: skip
_OTHER_NAMES = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl", "c-uda-1.0": "c-uda"}
_SPDX = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[.-][A-Za-z0-9]+)*[.-][0-9][A-Za-z0-9.+-]*")
_SPELT = {
    "apache-2.0": "Apache-2.0", "mit": "MIT", "isc": "ISC", "zlib": "Zlib", "unlicense": "Unlicense",
    "odbl": "ODbL-1.0",
    "odc-by": "ODC-By-1.0", "pddl": "PDDL-1.0", "c-uda": "C-UDA-1.0", "cdla-sharing-1.0": "CDLA-Sharing-1.0",
    "cdla-permissive-1.0": "CDLA-Permissive-1.0", "cdla-permissive-2.0": "CDLA-Permissive-2.0",
}  # fmt: skip
"""Identifiers as SPDX spells them, where writing them in capitals would be wrong."""


def hub_fields(licence: str) -> dict[str, str]:
    """Return the fields of a card's front matter for the licence that a spec names.

    >>> hub_fields("CC-BY-4.0"), hub_fields("other"), hub_fields("Our Terms 2")
    ({'license': 'cc-by-4.0'}, {'license': 'other'}, {'license': 'other', 'license_name': 'our-terms-2'})
    """
    lower = licence.strip().lower()
    known = _OTHER_NAMES.get(lower, lower)
    if known in HUB_LICENCES:
        return {"license": known}
    name = re.sub(r"[^a-z0-9.]+", "-", lower).strip("-.")[:60]
    fields = {"license": "other", **({"license_name": name} if name else {})}
    url = licence_url(licence)
    return {**fields, "license_link": url} if url else fields


def licence_url(licence: str) -> str | None:
    """Return the SPDX page of a licence that looks like an SPDX identifier, else None.

    >>> licence_url("CC-BY-4.0"), licence_url("other")
    ('https://spdx.org/licenses/CC-BY-4.0', None)
    """
    plain = licence.strip()
    lower = plain.lower()
    spelt = _SPELT.get(_OTHER_NAMES.get(lower, lower), plain.upper() if lower.startswith(("cc-by", "cc0-")) else plain)
    known = lower in _SPELT or lower in _OTHER_NAMES or (_SPDX.fullmatch(spelt) and spelt != spelt.lower())
    return f"https://spdx.org/licenses/{spelt}" if known else None
