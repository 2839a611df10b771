"""How often the gate was asked about one source: every answer about other rows tells a little about the real ones.

Metrics that are asked for often enough rebuild outliers (*ReconSyn*, arXiv 2312.05114), and who tries until something
passes has chosen by luck. So each judgement of new rows under a policy is counted, in `<out>/runs/gate_calls.json`;
the same rows judged again under the same policy tell nothing new.
"""

import hashlib
import json
from collections.abc import Iterable

from flows.errors import FlowInputError
from flows.run_folder import RunFolder, lineage_key, one_at_a_time
from flows.stages import Tried
from sources.files import write_json
from sources.fingerprint import keyed

FILE_NAME = "gate_calls.json"


def counted(folder: RunFolder, source_fingerprint: str, tried: Iterable[Tried]) -> int:
    """Note the judgements of `tried` and return how many there were of this source, these included.

    The source is named by its keyed HMAC, so the file alone tells nobody what was judged.

    Raises:
        FlowInputError: the file is there and cannot be read.

    """
    source = keyed(source_fingerprint, lineage_key(folder))
    path = folder.root / FILE_NAME
    with one_at_a_time(folder.root):
        try:
            ledger = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            known = set(ledger.get(source, []))
        except (ValueError, AttributeError, TypeError) as error:
            raise FlowInputError(
                f"{path}: not the list of judgements that was written there",
                seen=type(error).__name__,
                remedy="put the file back, or remove it and say in the release that the count starts anew",
            ) from None
        calls = {_call(one) for one in tried if one.sample is not None and one.judgement is not None}
        write_json(path, {**ledger, source: sorted(known | calls)})
    return len(known | calls)


def _call(one: Tried) -> str:
    assert one.sample is not None
    assert one.judgement is not None
    policy = json.dumps(one.judgement.report.policy.to_json(), sort_keys=True)
    return hashlib.sha256(f"{one.sample['sha256']} {policy}".encode()).hexdigest()
