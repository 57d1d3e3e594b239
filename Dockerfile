# docker build . -t model && docker run -p 8080:8080 model
# docker build . --target slim -t model-slim   (no TensorFlow: serves versions built elsewhere)
# docker build . --target gpu -t model-gpu && docker run --gpus all -p 8080:8080 model-gpu

# By the digest of its index, for whichever architecture; docs/operations.md says how to renew it.
ARG PYTHON=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

FROM ${PYTHON} AS base
LABEL org.opencontainers.image.title="Policy server" \
      org.opencontainers.image.description="Serves decisions of reinforcement-learning policies over HTTP" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
# The network interface is that of the container. Other settings, PORT and WEB_CONCURRENCY among
# them, have their defaults: a worker for each processor that `docker run --cpus` leaves.
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    BASE_PATH=/var/lib/policy-server \
    HOST=0.0.0.0
# State belongs to the group 0 as well, of which OpenShift's users are, whatever their number.
RUN useradd --uid 10001 --gid 0 --no-create-home --home-dir /var/lib/policy-server --shell /usr/sbin/nologin policy-server \
    && install --directory --owner=10001 --group=0 --mode=2770 /var/lib/policy-server
WORKDIR /opt/policy-server
EXPOSE 8080
STOPSIGNAL SIGTERM
# Whether it is alive: one without a policy waits for uploads, and is not to be started again.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["python", "deploy/healthcheck.py"]
CMD ["gunicorn", "app:app"]

# Serves versions that were built elsewhere, and builds none from SavedModels.
FROM base AS slim
LABEL policy-server.sbom="/opt/policy-server/sbom-slim.json"
COPY requirements-slim.txt ./
RUN pip install --require-hashes -r requirements-slim.txt
COPY *.py pyproject.toml swagger.template.yaml dist/sbom-slim*.json ./
COPY policy_server policy_server
COPY assets/favicon.svg assets/
COPY assets/swagger-ui assets/swagger-ui
COPY deploy/healthcheck.py deploy/
RUN python -m compileall -q .
USER 10001:0

# Everything, with ONNX Runtime for a device of NVIDIA's: CUDA and cuDNN are Python packages, the
# driver is the host's. Never built or run so far (docs/engines.md). Nothing is published here: a
# version is measured and proven on the device that will run it, and an image is built without one.
FROM base AS gpu
LABEL policy-server.sbom="/opt/policy-server/sbom-gpu.json"
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY requirements-gpu.txt ./
RUN pip install --require-hashes -r requirements-gpu.txt
COPY *.py pyproject.toml swagger.template.yaml dist/sbom-gpu*.json ./
COPY policy_server policy_server
COPY assets/favicon.svg assets/
COPY assets/swagger-ui assets/swagger-ui
COPY deploy/healthcheck.py deploy/
RUN python -m compileall -q .
USER 10001:0

# Everything, and the lpoc example built and proven. No credentials are made here: the server makes
# them at its first start, so that every container has its own.
FROM base AS build
LABEL policy-server.sbom="/opt/policy-server/sbom.json"
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt
COPY *.py pyproject.toml swagger.template.yaml dist/sbom.jso[n] ./
COPY policy_server policy_server
COPY assets/favicon.svg assets/
COPY assets/swagger-ui assets/swagger-ui
COPY deploy/healthcheck.py deploy/
COPY examples/lpoc examples/lpoc
RUN python -m compileall -q .
USER 10001:0
RUN python generate.py schema examples/lpoc/schema.yaml --title LPOC
RUN python generate.py publish examples/lpoc && chmod -R g=u "$BASE_PATH"

FROM build AS model
