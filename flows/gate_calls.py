"""How often the gate was asked about one source: every answer about other rows tells a little about the real ones.

Metrics that are asked for often enough rebuild outliers (*ReconSyn*, arXiv 2312.05114), and who tries until something
passes has chosen by luck. So each judgement of new rows under a policy is counted, in `<out>/runs/gate_calls.json`
(`flows.gate_ledger`); the same rows judged again under the same policy tell nothing new.
"""

from collections.abc import Iterable

from flows.gate_ledger import call_of, note
from flows.run_folder import RunFolder
from flows.stages import Tried


def counted(folder: RunFolder, source_fingerprint: str, tried: Iterable[Tried]) -> int:
    """Note the judgements of `tried` and return how many there were of this source, these included.

    Raises:
        FlowInputError: the list is there and cannot be read.

    """
    calls = [
        call_of(one.sample["sha256"], one.judgement.report.policy)
        for one in tried
        if one.sample is not None and one.judgement is not None
    ]
    return note(folder.root, source_fingerprint, calls)
