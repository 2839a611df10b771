"""The table of contents: every synthesizer that a spec can name.

Importing this imports the native families, hence torch; SDV comes in only when its adapter is fitted or sampled.
"""

from generators import sdv
from generators.base import Family
from generators.tabular import autoregressive, vae

SYNTHESIZERS: dict[str, Family] = {
    "tabular.autoregressive": Family(
        config=autoregressive.Config,
        build=autoregressive.build,
        load=autoregressive.load,
        summary="one network for the conditionals of any column given any others; the most faithful to tables",
    ),
    "tabular.vae": Family(
        config=vae.Config,
        build=vae.build,
        load=vae.load,
        summary="variational autoencoder with a mixture fitted to its aggregate posterior; fast to sample",
    ),
    "sdv.gaussian_copula": Family(
        config=sdv.Config,
        build=sdv.build,
        load=sdv.load,
        summary="SDV's Gaussian copula: parametric marginals and one correlation matrix; seconds, a baseline",
    ),
}
