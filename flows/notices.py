"""`notify:` of a spec: one message to a web hook when a run has ended. No value of the source is in it.

The URL of a hook is a secret (who has it can post), so a spec names the variable of the environment that holds it. A
hook that fails changes nothing of a run's outcome: it is said in one line, without the URL. Mail, chat and paging are
better done by Prefect's automations on the events that `flows.sights` emits; see docs/operations.md.
"""

import http.client
import json
import os
import re
import ssl
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from flows.errors import FlowInputError
from validators.gate import Outcome

Ending = Literal["published", "refused", "inconclusive", "invalid", "waiting", "unchanged", "failed"]
ENDINGS: Mapping[Outcome, Ending] = {
    Outcome.PASS: "published",
    Outcome.REFUSE: "refused",
    Outcome.INCONCLUSIVE: "inconclusive",
    Outcome.INVALID: "invalid",
}
TIMEOUT_S = 10.0
LOOPBACKS = ("127.0.0.1", "localhost", "::1")
MOST_STATUS = 300


class NotifySpec(BaseModel):
    """Who is told that a run has ended."""

    model_config = ConfigDict(extra="forbid", revalidate_instances="always", frozen=True, strict=True)
    url: str = Field(description="$NAME: the variable of the environment that holds the address of a web hook")
    on: tuple[Ending, ...] = Field(
        default=("published", "refused", "inconclusive", "invalid", "waiting", "failed"),
        min_length=1,
        description="endings to tell of",
    )

    @field_validator("url")
    @classmethod
    def _no_secret(cls, text: str) -> str:
        if not re.fullmatch(r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?", text):
            raise ValueError(
                "the address of a hook is a secret: write $NAME, and export NAME=https://… where runs start"
            )
        return text


def check_notify(notify: NotifySpec | None, *, place: str) -> None:
    """Refuse a hook whose address the environment does not hold, before a run begins.

    Raises:
        FlowInputError: it names the variable, never its content.

    """
    if notify is not None:
        _address_of(notify, place=place)


def notify_of(notify: NotifySpec | None, ending: Ending, message: Mapping[str, Any]) -> str | None:
    """Post `message` as JSON where `notify` asks for `ending`; return in words why it failed, or None.

    Args:
        notify: of the spec.
        ending: how the run ended.
        message: plain JSON values, without any of the source.

    """
    if notify is None or ending not in notify.on:
        return None
    secure, host, port, path = _address_of(notify, place="notify")
    connection = (
        http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        if secure
        else http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    )
    try:
        body = json.dumps({"ending": ending, **message}).encode()
        connection.request("POST", path, body=body, headers={"Content-Type": "application/json"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"the hook was not reached ({type(error).__name__})"
    finally:
        connection.close()
    return None if status < MOST_STATUS else f"the hook answered {status}"


def _address_of(notify: NotifySpec, *, place: str) -> tuple[bool, str, int | None, str]:
    """Return (TLS, host, port, path with query)."""
    name = notify.url[1:].strip("{}")
    text = os.environ.get(name)
    if not text:
        raise FlowInputError(f"{place}: notify.url: the environment has no {name}", remedy=f"export {name}=https://…")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACKS)):
        raise FlowInputError(
            f"{place}: notify.url: {name} holds no address that can be told safely",
            seen=f"scheme {parts.scheme!r}" if parts.scheme else "no scheme",
            remedy="give an https address; plain http is for the loopback address alone",
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme == "https", parts.hostname, port, path
