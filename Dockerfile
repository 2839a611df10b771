# One image for the command line, Prefect's server, its workers and their runs; no secret is built in.
#   docker build -t understudy:cpu .
#   docker build -t understudy:gpu --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .
# torch brings its own CUDA libraries, so the base is the same; the host needs NVIDIA's driver and container toolkit.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=s3,dask
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY flows flows
COPY generators generators
COPY releases releases
COPY sources sources
COPY validators validators
RUN python -m venv /opt/understudy \
 && /opt/understudy/bin/pip install --extra-index-url "${TORCH_INDEX}" --constraint constraints.txt ".[${EXTRAS}]"

FROM ${BASE}
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin understudy \
 && install --directory --owner understudy --group understudy --mode 0700 /data
COPY --from=build /opt/understudy /opt/understudy
ENV PATH=/opt/understudy/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE \
    PREFECT_HOME=/home/understudy/.prefect \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1
USER 10001
WORKDIR /data
VOLUME /data
ENTRYPOINT []
CMD ["understudy", "--help"]
