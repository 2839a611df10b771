"""`contact-sheet.png` of a release: synthetic pictures on one sheet, for the card."""

from sources.dataset import Dataset
from sources.images import png
from sources.picture_sheets import enlarged, sheet, thumbnails
from sources.randomness import stream
from sources.synthetic_mark import XMP

FILE_NAME = "contact-sheet.png"
NUM_PICTURES = 60
COLUMNS = 12
MOST_SIDE, LEAST_SIDE = 64, 32


def sheet_of(synthetic: Dataset, *, seed: int) -> bytes:
    """Return a PNG of `NUM_PICTURES` rows drawn blindly, in the order of the data, marked as synthetic.

    Args:
        synthetic: rows with an image column, of which the first is shown.
        seed: of the choice.

    """
    name = next(column.name for column in synthetic.schema.columns if column.kind == "image")
    num = min(NUM_PICTURES, len(synthetic))
    rows = stream(seed, "contact sheet").choice(len(synthetic), size=num, replace=False)
    rows.sort()
    pixels = synthetic.media[name][synthetic.frame[name].to_numpy()[rows]]
    pictures = enlarged(thumbnails(pixels, most=MOST_SIDE), least=LEAST_SIDE)
    return png(sheet(pictures, columns=min(COLUMNS, num)), xmp=XMP)
