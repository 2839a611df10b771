"""`understudy impute`: missing cells of a real table, drawn given what each row has. The rows stay real and private."""

from collections.abc import Sequence
from pathlib import Path

from flows.errors import Exit, FlowInputError
from flows.progress import narrator
from flows.sampling import FORMATS, check_output, load_model
from generators.tabular.autoregressive import Autoregressive
from generators.tabular.imputation import cells_not_read, impute
from sources.conform import conform
from sources.dataset import Dataset
from sources.files import write_text
from sources.readers import read_table
from sources.storage import to_storage, write_table

NOTICE_SUFFIX = ".PRIVATE.txt"
NOTICE = """{name} is no synthetic data. Every row in it is a real row of the table that was given: present cells are
unchanged, only missing ones have been drawn by a model. It must be kept and handled as the real table is. It has not
been judged, and it cannot be released.
"""


def impute_command(model: str, table: str, output: Path, *, columns: Sequence[str], seed: int, force: bool) -> Exit:
    """Fill the missing cells of the file `table` by the model in the folder `model`, into the file `output`.

    Beside it `<output>.PRIVATE.txt` says what it is.

    Raises:
        UserError: no model is there, it cannot condition, the table does not fit it, or the file cannot be written.

    """
    form = FORMATS[check_output(output, force=force)]
    synthesizer = load_model(Path(model))
    if not isinstance(synthesizer, Autoregressive):
        raise FlowInputError(
            f"{model}: this family cannot draw cells given others",
            seen=type(synthesizer).__name__,
            remedy="give a model of tabular.autoregressive",
        )
    real = conform(read_table(table), synthesizer.fitted.codec.schema)
    chosen = [name for given in columns for name in ([given] if given in real.schema.names else given.split(","))]
    filled = Dataset(
        frame=impute(synthesizer, real.frame, seed, [name.strip() for name in chosen] or None), schema=real.schema
    )
    write_text(output.with_name(output.name + NOTICE_SUFFIX), NOTICE.format(name=output.name))
    write_table(to_storage(filled), output, form)
    voice = narrator(quiet=False)
    missing, left = int(real.frame.isna().sum().sum()), int(filled.frame.isna().sum().sum())
    still = f", {left:,} left missing" if left else ""
    voice.line("imputed", f"{output}   {missing - left:,} missing cells of {len(real):,} rows drawn{still}")
    for name, cells in cells_not_read(synthesizer, real.frame).items():
        voice.line("", f"{name}: {cells:,} cells hold what the model never saw; they told nothing of the others")
    voice.line("", "REAL ROWS: this is no synthetic data and cannot be released; keep it where the source is")
    return Exit.OK
