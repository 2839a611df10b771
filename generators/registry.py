"""The table of contents: every synthesizer that a spec can name.

Importing this imports the native families, hence torch; SDV comes in only when its adapter is fitted or sampled.
"""

from generators.base import Family
from generators.image import autoregressive as image_autoregressive
from generators.image import gan as image_gan
from generators.image import vae as image_vae
from generators.sdv import copulagan, ctgan, gaussian_copula, tvae
from generators.tabular import autoregressive, gan, vae

SYNTHESIZERS: dict[str, Family] = {
    "tabular.autoregressive": Family(
        config=autoregressive.Config,
        build=autoregressive.build,
        load=autoregressive.load,
        summary=autoregressive.SUMMARY,
        conditions=True,
        likelihood=autoregressive.likelihood,
    ),
    "tabular.vae": Family(
        config=vae.Config,
        build=vae.build,
        load=vae.load,
        summary=vae.SUMMARY,
    ),
    "tabular.gan": Family(
        config=gan.Config,
        build=gan.build,
        load=gan.load,
        summary=gan.SUMMARY,
    ),
    "image.autoregressive": Family(
        config=image_autoregressive.Config,
        build=image_autoregressive.build,
        load=image_autoregressive.load,
        summary=image_autoregressive.SUMMARY,
        conditions=True,
        pictures=True,
    ),
    "image.vae": Family(
        config=image_vae.Config,
        build=image_vae.build,
        load=image_vae.load,
        summary=image_vae.SUMMARY,
        conditions=True,
        pictures=True,
    ),
    "image.gan": Family(
        config=image_gan.Config,
        build=image_gan.build,
        load=image_gan.load,
        summary=image_gan.SUMMARY,
        conditions=True,
        pictures=True,
    ),
    "sdv.gaussian_copula": Family(
        config=gaussian_copula.Config,
        build=gaussian_copula.build,
        load=gaussian_copula.load,
        summary=gaussian_copula.SUMMARY,
        trains=False,
    ),
    "sdv.ctgan": Family(
        config=ctgan.Config,
        build=ctgan.build,
        load=ctgan.load,
        summary=ctgan.SUMMARY,
    ),
    "sdv.tvae": Family(
        config=tvae.Config,
        build=tvae.build,
        load=tvae.load,
        summary=tvae.SUMMARY,
    ),
    "sdv.copulagan": Family(
        config=copulagan.Config,
        build=copulagan.build,
        load=copulagan.load,
        summary=copulagan.SUMMARY,
    ),
}
