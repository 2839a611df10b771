"""What may be shown of a location, and of plain values that may hold one."""

from sources.locations import HIDDEN, without_credentials, without_secrets


def test_a_url_keeps_where_it_leads_and_loses_what_opens_it() -> None:
    assert without_credentials("s3://key:secret@bucket/in/people.csv?sig=1#x") == "s3://key@bucket/in/people.csv"
    assert without_credentials("postgresql+psycopg://ann:pw@db/people") == "postgresql+psycopg://ann@db/people"
    assert without_credentials("zip://a.csv::https://u:p@h/x.zip?t=1") == "zip://a.csv::https://u@h/x.zip"
    for plain in ("people.csv", "/data/a?b.csv", "C:\\people.csv", "https://host/people.csv", "$NAME"):
        assert without_credentials(plain) == plain


def test_plain_values_lose_options_secrets_and_credentials_only() -> None:
    plain = {
        "name": "people",
        "source": {"path": "s3://a:b@c/d.csv", "options": {"anon": False, "key": "k", "deep": {"endpoint": ["e"]}}},
        "schema": {"entity_key": "customer", "columns": {"token": {"role": "secret"}}},
        "publish": {"signing_key": "PEM", "password": "p"},
        "seed": 7,
    }
    assert without_secrets(plain) == {
        "name": "people",
        "source": {"path": "s3://a@c/d.csv", "options": {"anon": False, "key": HIDDEN, "deep": {"endpoint": [HIDDEN]}}},
        "schema": {"entity_key": "customer", "columns": {"token": {"role": "secret"}}},
        "publish": {"signing_key": HIDDEN, "password": HIDDEN},
        "seed": 7,
    }
