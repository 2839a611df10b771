"""What SDV's networks have learnt, as plain numbers, and the library's own sampler made of it again.

SDV saves pickles, which hold its sampler of training rows, its discriminator, and extremes of the data. A sample needs
less: one network, the Gaussian mixture of each number, the order of each column's labels, how often each label is asked
for, and (CopulaGAN) a distribution of each number. `learnt_by` takes that out of a fitted synthesizer, `Sampler` puts
it back into objects of the libraries, which then draw as they always do. The libraries have no public way for either,
so a fit ends with a comparison of both (`network.Network.fit`).

# K components of a number's mixture, C label columns, L labels of the column with the most
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from generators.base import Diverged, GeneratorError
from generators.sdv.library import alone

LABEL_SHARES = "label shares"  # the tensor of how often each label is asked for
NETWORK = "network."  # before the names of the network's tensors
COUNTED = ("running_mean", "running_var", "num_batches_tracked")  # how the names of those end that are not trained


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """A fitted model in JSON values and arrays.

    Args:
        gan: CTGAN's generator rather than TVAE's decoder.
        settings: `embedding_dim`, `batch_size` and `layers` (the widths of the hidden ones) of the network.
        columns: one mapping a column: `name` with `labels` (in order), or with `means` and `variances` (K of each) of
            its mixture and `marginal` (a copulas distribution's own mapping, None without).
        tensors: the network's, under `NETWORK`, and `LABEL_SHARES` (float64 C L, GANs alone).

    """

    gan: bool
    settings: Mapping[str, Any]
    columns: Sequence[Mapping[str, Any]]
    tensors: Mapping[str, np.ndarray]

    @property
    def num_weights(self) -> int:
        """Trainable numbers of the network, which leaves out what batch normalisation counts."""
        names = (name for name in self.tensors if name.startswith(NETWORK) and name.rpartition(".")[2] not in COUNTED)
        return sum(self.tensors[name].size for name in names)


def learnt_by(synthesizer: Any, *, gan: bool, settings: Mapping[str, Any]) -> Learnt:
    """Return what an SDV synthesizer has learnt, whether or not its fit came to SDV's own end.

    Raises:
        Diverged: a weight is no number.

    """
    network = _network_of(synthesizer, gan=gan)
    model = synthesizer._model  # noqa: SLF001 - SDV shows its networks nowhere
    transformer = model._transformer if gan else model.transformer  # noqa: SLF001
    marginals = normalizers_of(synthesizer)
    columns: list[dict[str, Any]] = []
    for info in transformer._column_transform_info_list:  # noqa: SLF001
        if info.column_type == "discrete":
            columns.append({"name": info.column_name, "labels": [str(label) for label in info.transform.dummies]})
            continue
        mixture, used = info.transform._bgm_transformer, info.transform.valid_component_indicator  # noqa: SLF001
        marginal = marginals.get(info.column_name)
        columns.append(
            {
                "name": info.column_name,
                "means": mixture.means_[used, 0].tolist(),
                "variances": mixture.covariances_[used, 0, 0].tolist(),
                "marginal": None if marginal is None else _plain(marginal._univariate.to_dict()),  # noqa: SLF001
            }
        )
    tensors = {NETWORK + name: tensor.detach().cpu().numpy().copy() for name, tensor in network.state_dict().items()}
    if gan:
        shares = model._data_sampler._discrete_column_category_prob  # noqa: SLF001
        tensors[LABEL_SHARES] = np.array(shares, dtype=np.float64)
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise Diverged("phase train: SDV learnt a weight that is no number")
    return Learnt(gan=gan, settings=dict(settings), columns=columns, tensors=tensors)


def has_diverged(synthesizer: Any, *, gan: bool) -> bool:
    """Return whether a weight of the network that samples is no number."""
    parameters = _network_of(synthesizer, gan=gan).parameters()
    return any(not np.isfinite(weights.detach().numpy()).all() for weights in parameters)


def _network_of(synthesizer: Any, *, gan: bool) -> Any:
    model = synthesizer._model  # noqa: SLF001 - SDV shows its networks nowhere
    return model._generator if gan else model.decoder  # noqa: SLF001 - likewise


def normalizers_of(synthesizer: Any) -> dict[str, Any]:
    """Return what makes each number normal before a CopulaGAN sees it; nothing for others."""
    transformer = getattr(synthesizer, "_gaussian_normalizer_hyper_transformer", None)
    fields = {} if transformer is None else dict(transformer.field_transformers)
    return {name: normalizer for name, normalizer in fields.items() if normalizer is not None}


def drawn(model: Any, normalizers: Mapping[str, Any], n: int, *, seed: int) -> pd.DataFrame:
    """Return `n` rows of a CTGAN or TVAE, made un-normal again: labels as text, numbers as float64, perhaps infinite.

    Raises:
        GeneratorError: a number is none.

    """
    with alone(seed):
        rows: pd.DataFrame = model.sample(n)
        for normalizer in normalizers.values():
            rows = normalizer.reverse_transform(rows)
    numbers = rows.select_dtypes("number").to_numpy(dtype=np.float64)
    if np.isnan(numbers).any():
        raise GeneratorError("SDV drew a cell that is no number")
    return rows


class Sampler:
    """The libraries' objects, holding `learnt`.

    Args:
        learnt: see `Learnt`.

    """

    def __init__(self, learnt: Learnt) -> None:
        """Build them; the libraries are imported here."""
        with alone(0):  # constructors draw initial weights, which are replaced
            self._model = _gan(learnt) if learnt.gan else _vae(learnt)
            self._normalizers = {
                column["name"]: _normalizer(column["name"], column["marginal"])
                for column in learnt.columns
                if column.get("marginal") is not None
            }

    def draw(self, n: int, *, seed: int) -> pd.DataFrame:
        """Return `n` rows, at least one; see `drawn`."""
        return drawn(self._model, self._normalizers, n, seed=seed)


def _gan(learnt: Learnt) -> Any:
    from ctgan import CTGAN  # type: ignore[import-untyped]  # noqa: PLC0415 - SDV's own library
    from ctgan.data_sampler import DataSampler  # type: ignore[import-untyped]  # noqa: PLC0415
    from ctgan.synthesizers.ctgan import Generator  # type: ignore[import-untyped]  # noqa: PLC0415

    transformer = _transformer(learnt.columns)
    shares = learnt.tensors[LABEL_SHARES]
    num_labels = sum(len(column["labels"]) for column in learnt.columns if "labels" in column)
    asked = DataSampler.__new__(DataSampler)  # its constructor wants the training rows
    asked._discrete_column_category_prob = shares  # noqa: SLF001
    asked._n_discrete_columns, asked._n_categories = len(shares), num_labels  # noqa: SLF001
    settings = learnt.settings
    model = CTGAN(embedding_dim=settings["embedding_dim"], batch_size=settings["batch_size"], enable_gpu=False)
    network = Generator(
        settings["embedding_dim"] + num_labels, tuple(settings["layers"]), transformer.output_dimensions
    )
    model._transformer, model._data_sampler, model._generator = transformer, asked, _filled(network, learnt)  # noqa: SLF001
    return model


def _vae(learnt: Learnt) -> Any:
    from ctgan import TVAE  # noqa: PLC0415
    from ctgan.synthesizers.tvae import Decoder  # type: ignore[import-untyped]  # noqa: PLC0415

    settings = learnt.settings
    model = TVAE(embedding_dim=settings["embedding_dim"], batch_size=settings["batch_size"], enable_gpu=False)
    model.transformer = _transformer(learnt.columns)
    network = Decoder(settings["embedding_dim"], tuple(settings["layers"]), model.transformer.output_dimensions)
    model.decoder = _filled(network, learnt)
    return model


def _filled(network: Any, learnt: Learnt) -> Any:
    """Return the network with the learnt weights, in the mode in which SDV leaves it."""
    import torch  # noqa: PLC0415 - SDV brings it

    found = {name[len(NETWORK) :]: tensor for name, tensor in learnt.tensors.items() if name.startswith(NETWORK)}
    network.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in found.items()})
    return network


def _transformer(columns: Sequence[Mapping[str, Any]]) -> Any:
    """Return the transformer that turns the network's output into columns."""
    from ctgan.data_transformer import (  # type: ignore[import-untyped]  # noqa: PLC0415
        ColumnTransformInfo,
        DataTransformer,
        SpanInfo,
    )

    transformer, infos = DataTransformer(), []
    for column in columns:
        if "labels" in column:
            spans = [SpanInfo(len(column["labels"]), "softmax")]
            kind, inner = "discrete", _one_hot(column["name"], column["labels"])
        else:
            spans = [SpanInfo(1, "tanh"), SpanInfo(len(column["means"]), "softmax")]
            kind, inner = "continuous", _mixture(column["name"], column["means"], column["variances"])
        infos.append(ColumnTransformInfo(column["name"], kind, inner, spans, sum(span.dim for span in spans)))
    transformer.output_info_list = [info.output_info for info in infos]
    transformer.output_dimensions = sum(info.output_dimensions for info in infos)
    transformer.dataframe = True
    types = {info.column_name: np.dtype(object if info.column_type == "discrete" else float) for info in infos}
    transformer._column_raw_dtypes = pd.Series(types)  # noqa: SLF001
    transformer._column_transform_info_list = infos  # noqa: SLF001
    return transformer


def _one_hot(name: str, labels: Sequence[str]) -> Any:
    """Return the encoder whose columns are `labels` in this order."""
    from rdt.transformers import OneHotEncoder  # type: ignore[import-untyped]  # noqa: PLC0415 - SDV's own library

    encoder = OneHotEncoder()
    encoder.fit(pd.DataFrame({name: labels}), name)
    if list(encoder.dummies) != list(labels):
        raise GeneratorError("RDT orders labels in another way than it did at the fit")
    return encoder


def _mixture(name: str, means: Sequence[float], variances: Sequence[float]) -> Any:
    """Return what turns a place in a component back into a number."""
    from rdt.transformers.numerical import (  # type: ignore[import-untyped]  # noqa: PLC0415 - SDV's own library
        ClusterBasedNormalizer,
    )

    # Fitted to made-up numbers, so that everything is in its place, of which the mixture is replaced.
    normalizer = ClusterBasedNormalizer(max_clusters=len(means), missing_value_generation="from_column")
    normalizer.fit(_made_up(name, len(means)), name)
    mixture = normalizer._bgm_transformer  # noqa: SLF001
    mixture.means_ = np.array(means, dtype=np.float64).reshape(-1, 1)
    mixture.covariances_ = np.array(variances, dtype=np.float64).reshape(-1, 1, 1)
    normalizer.valid_component_indicator = np.ones(len(means), dtype=bool)
    return normalizer


def _normalizer(name: str, marginal: Mapping[str, Any]) -> Any:
    """Return what makes a sampled number un-normal again."""
    from copulas.univariate import Univariate  # type: ignore[import-untyped]  # noqa: PLC0415 - SDV's own library
    from rdt.transformers.numerical import GaussianNormalizer  # noqa: PLC0415

    normalizer = GaussianNormalizer(distribution="norm", missing_value_generation="from_column")
    normalizer.fit(_made_up(name, 1), name)  # as above; the distribution is replaced
    normalizer._univariate = Univariate.from_dict(dict(marginal))  # noqa: SLF001
    return normalizer


def _made_up(name: str, components: int) -> pd.DataFrame:
    """Return twice as many different numbers as there are components, and one more."""
    return pd.DataFrame({name: np.linspace(0.0, 1.0, 2 * components + 1)})


def _plain(marginal: Mapping[str, Any]) -> dict[str, Any]:
    """Return a distribution's mapping with numbers that JSON knows."""
    return {key: value if isinstance(value, str) else float(value) for key, value in marginal.items()}
