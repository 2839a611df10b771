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
        summary=autoregressive.SUMMARY,
    ),
    "tabular.vae": Family(
        config=vae.Config,
        build=vae.build,
        load=vae.load,
        summary=vae.SUMMARY,
    ),
    "sdv.gaussian_copula": Family(
        config=sdv.Config,
        build=sdv.build,
        load=sdv.load,
        summary=sdv.SUMMARY,
        trains=False,
    ),
}
