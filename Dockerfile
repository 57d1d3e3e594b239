# docker build . -t model && docker run -p 8080:8080 model
# docker build . --target slim -t model-slim   (no TensorFlow: serves versions built elsewhere)
# docker build . --target gpu -t model-gpu && docker run --gpus all -p 8080:8080 model-gpu

FROM python:3.11.14-slim-bookworm AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    BASE_PATH=/var/lib/policy-server \
    WEB_CONCURRENCY=4
RUN useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin policy-server \
    && install --directory --owner=10001 --group=10001 /var/lib/policy-server
WORKDIR /opt/policy-server
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8080/api/health/ready', timeout=4)"]
# gunicorn takes the number of workers from WEB_CONCURRENCY: `docker run -e WEB_CONCURRENCY=2`.
CMD ["gunicorn", "app:app", "-b", ":8080"]

# Serves versions that were built elsewhere, and builds none from SavedModels.
FROM base AS slim
COPY requirements-slim.txt ./
RUN pip install --require-hashes -r requirements-slim.txt
COPY *.py swagger.template.yaml ./
COPY policy_server policy_server
COPY assets/favicon.svg assets/
COPY assets/swagger-ui assets/swagger-ui
USER 10001:10001

# Everything, with ONNX Runtime for a device of NVIDIA's: CUDA and cuDNN are Python packages, the
# driver is the host's. Never built or run so far (docs/engines.md). Nothing is published here: a
# version is measured and proven on the device that will run it, and an image is built without one.
FROM base AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY requirements-gpu.txt ./
RUN pip install --require-hashes -r requirements-gpu.txt
COPY *.py swagger.template.yaml ./
COPY policy_server policy_server
COPY assets/favicon.svg assets/
COPY assets/swagger-ui assets/swagger-ui
USER 10001:10001

# Everything, and the lpoc example built and proven. No credentials are made here: the server makes
# them at its first start, so that every container has its own.
FROM base AS build
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt
COPY *.py swagger.template.yaml ./
COPY policy_server policy_server
COPY assets/favicon.svg assets/
COPY assets/swagger-ui assets/swagger-ui
COPY examples/lpoc examples/lpoc
USER 10001:10001
RUN python generate.py schema examples/lpoc/schema.yaml --title LPOC
RUN python generate.py publish examples/lpoc

FROM build AS model
