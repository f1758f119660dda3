# Any hpo command in a container; by default a worker that serves every open study.
# The build needs the package index; what runs afterwards needs the database alone.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
# Fails where the native engine was not compiled: without it workers would be many times slower.
RUN make wheel

FROM python:${PYTHON}-slim AS install
# Where torch comes from; for NVIDIA GPUs the folder of a CUDA version instead of cpu.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN python -m venv /opt/hpo
COPY constraints.txt /tmp/
# torch alone and first: the index of everything else would give the build with CUDA.
RUN /opt/hpo/bin/pip install --no-cache-dir --no-deps --constraint /tmp/constraints.txt \
    --index-url "${TORCH_INDEX}" torch
COPY --from=build /build/dist/ /tmp/dist/
RUN /opt/hpo/bin/pip install --no-cache-dir --constraint /tmp/constraints.txt /tmp/dist/*.whl

FROM python:${PYTHON}-slim
RUN useradd --system --uid 10001 --create-home hpo
COPY --from=install /opt/hpo /opt/hpo
ENV PATH=/opt/hpo/bin:$PATH PYTHONUNBUFFERED=1 HPO_DATA_DIR=/data
WORKDIR /data
USER 10001
STOPSIGNAL SIGTERM
# A worker tells the database each second that it lives: there is nothing else to be asked.
HEALTHCHECK NONE
ENTRYPOINT ["hpo"]
CMD ["work"]
