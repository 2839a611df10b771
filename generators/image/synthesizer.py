"""The synthesizer that all families of pictures share: attributes from a table's model, pictures from a painter.

p(row) = p(attributes) p(picture | attributes). The painter sees attributes as tokens of the tabular codec, so labels,
numbers and dates of any kind condition the picture, and what rows have too few of is unknown to it.

# N rows, H height, W width, C channels, T tokens of a row's attributes
"""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from generators.base import Budget, FitReport, GeneratorInputError, NotFitted, OnStep
from generators.device import Device, resolve
from generators.image.attributes import Attributes, without_pictures
from generators.image.model_files import Saved, fields_of, load_model, save_model
from generators.image.painter import Art, Form, ImageConfig, Painter, Pictures
from generators.image.pixels import LEVELS, dtype_of
from generators.training.batches import hold_out
from sources.dataset import Dataset
from sources.randomness import derive
from sources.schema import Schema

FEWEST = 20  # pictures that a fit needs; fewer could only be learnt one by one
MOST_HELD = 2_000  # pictures of the validation part: enough to tell two steps apart, the others are better learnt from
PIECE_VALUES, LEAST_PIECE = 2**21, 16  # pixel values drawn at a time, and pictures at least


class ImageSynthesizer:
    """A `generators.base.Synthesizer` of tables with one image column.

    Args:
        art: the family.
        config: its configuration.

    """

    def __init__(self, art: Art, config: ImageConfig) -> None:
        """Remember both; nothing is built before `fit`."""
        self.art = art
        self.config = config
        self._fitted: tuple[Schema, Form, Attributes, Painter] | None = None

    def fit(self, train: Dataset, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep) -> FitReport:
        """See `generators.base.Synthesizer.fit`.

        Raises:
            GeneratorInputError: not exactly one image column, too few pictures, a column that tables do not model.
            Diverged: a loss became NaN or infinite.

        """
        began_s = time.monotonic()
        name, config = self.art.name, self.config
        image = _image_column(train, name)
        device = _device(config)
        run_dir.mkdir(parents=True, exist_ok=True)
        attributes, notes = Attributes.fit(
            without_pictures(train, image),
            seed=derive(seed, name, "attributes"),
            run_dir=run_dir / "attributes",
            on_step=on_step,
            device=config.device,
            precision=config.precision,
        )
        images = _images(train, image)
        height, width, channels = images.shape[1:]
        form = Form(
            shape=(height, width, channels),
            levels=LEVELS[images.dtype],
            sizes=attributes.sizes,
            ranks=attributes.ranks,
        )
        key = train.schema.entity_key
        share = min(config.validation_share, MOST_HELD / len(train))
        held = hold_out(
            len(train),
            seed=derive(seed, name),
            share=share,
            groups=None if key is None else train.frame[key].to_numpy(dtype=object),
        )
        painter = self.art.begin(config, form, device)
        painted = painter.fit(
            Pictures(form=form, images=images, tokens=attributes.tokens(train.frame), held=held),
            seed=derive(seed, name, "painter"),
            budget=budget,
            run_dir=run_dir,
            on_step=on_step,
            spent_s=time.monotonic() - began_s,
        )
        self._fitted = (train.schema, form, attributes, painter)
        return FitReport(
            family=name,
            steps=painted.trained.steps,
            stopped_by=painted.trained.stopped_by,
            seconds=max(painted.trained.seconds, time.monotonic() - began_s),
            parameters=painted.parameters,
            best=painted.trained.best,
            loss_unit=painted.loss_unit,
            device=device.name,
            precision=device.precision,
            history=painted.trained.history,
            notes=(*notes, *painted.notes, *painted.trained.notes),
        )

    def sample(self, n: int, *, seed: int, given: pd.DataFrame | None = None) -> Dataset:
        """See `generators.base.Synthesizer.sample`; any attributes may be `given`.

        Raises:
            NotFitted: before `fit`.
            GeneratorInputError: `given` names the picture, no column, or cells that the model could never draw.

        """
        if self._fitted is None:
            raise NotFitted(f"{self.art.name}: fit or load a model before sampling")
        schema, form, attributes, painter = self._fitted
        image = next(column.name for column in schema.columns if column.kind == "image")
        if given is not None and image in given.columns:
            raise GeneratorInputError(
                f"given: column {image!r} is the picture, which cannot be conditioned on",
                seen="kind image",
                remedy="give attributes alone",
            )
        frame = attributes.sample(n, seed=derive(seed, self.art.name, "attributes"), given=given)
        tokens = torch.from_numpy(attributes.tokens(frame))
        images = np.empty((n, *form.shape), dtype=dtype_of(form.levels))
        piece = max(LEAST_PIECE, PIECE_VALUES // form.num_values)
        for start in range(0, n, piece):
            drawn = painter.draw(tokens[start : start + piece], seed=derive(seed, self.art.name, "draw", start))
            images[start : start + piece] = drawn
        whole = frame.assign(**{image: np.arange(n, dtype=np.int64)})[list(schema.names)]
        return Dataset(frame=whole, schema=schema, media={image: images})

    def save(self, path: Path) -> None:
        """See `generators.base.Synthesizer.save`.

        Raises:
            NotFitted: before `fit`.

        """
        if self._fitted is None:
            raise NotFitted(f"{self.art.name}: fit a model before saving it")
        schema, form, attributes, painter = self._fitted
        saved = Saved(
            family=self.art.name,
            config=fields_of(self.config),
            schema=schema,
            shape=form.shape,
            levels=form.levels,
            attributes=attributes,
            tensors=painter.tensors(),
            painter=painter.to_json(),
        )
        save_model(path, saved)

    @staticmethod
    def load(art: Art, path: Path, *, device: str | None = None) -> "ImageSynthesizer":
        """Return the fitted synthesizer that `save` wrote into the folder `path`.

        Args:
            art: the family.
            path: the folder.
            device: as in the configuration; None is the CPU where it was fitted with `device="cpu"`, else `auto`.

        Raises:
            GeneratorInputError: there is no model of this family.

        """
        saved = load_model(path, family=art.name, device=device)
        config = art.config(**saved.config)
        resolved = resolve(device or ("cpu" if config.device == "cpu" else "auto"), precision=config.precision)
        form = Form(shape=saved.shape, levels=saved.levels, sizes=saved.attributes.sizes, ranks=saved.attributes.ranks)
        synthesizer = ImageSynthesizer(art, config)
        painter = art.load(config, form, resolved, saved.tensors, saved.painter)
        synthesizer._fitted = (saved.schema, form, saved.attributes, painter)
        return synthesizer


def _image_column(train: Dataset, family: str) -> str:
    names = [column.name for column in train.schema.columns if column.kind == "image"]
    if len(names) != 1:
        raise GeneratorInputError(
            f"{family}: needs a table with exactly one image column",
            seen=f"{len(names)} of {len(train.schema.columns)} columns: {', '.join(names) or 'none'}",
            remedy="leave the others out (drop: true)" if names else "choose a tabular family",
        )
    if len(train) < FEWEST:
        raise GeneratorInputError(
            "too few pictures to learn anything but themselves",
            seen=f"{len(train)} rows",
            remedy=f"give at least {FEWEST} training rows",
        )
    return names[0]


def _images(train: Dataset, image: str) -> np.ndarray:
    """Return the pictures in the order of the rows, uint8 or uint16 N H W C."""
    images: np.ndarray = train.media[image][train.frame[image].to_numpy()]
    return images


def _device(config: ImageConfig) -> Device:
    return resolve(config.device, precision=config.precision)
