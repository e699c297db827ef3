# The translation service in a container, as a user without rights and with a health check.
#
#   docker build -t gantrans .
#   docker run -p 127.0.0.1:8000:8000 -e GANTRANS_TOKEN=... -v ./models:/models:ro -v ./feedback:/feedback gantrans
#
# It serves the champions of the registry in /models (the README's eight commands make one) and follows every
# promotion. The loop runs beside it, with a registry that it may write:
#   docker run -v ./models:/models -v ./feedback:/feedback gantrans \
#     python -m gantrans cycle --registry /models --store /feedback/feedback.sqlite --every 24
#
# Without a GPU give pip the index of PyTorch's CPU build, or several gigabytes of CUDA come along:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=... -t gantrans .
ARG BASE=python:3.11-slim-bookworm
# hadolint ignore=DL3006
FROM ${BASE}

ARG PIP_EXTRA_INDEX_URL=""
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 OMP_NUM_THREADS=1

WORKDIR /srv/gantrans
COPY pyproject.toml requirements.txt README.md LICENSE LICENSE-docs ./
COPY gantrans ./gantrans
COPY data ./data
RUN pip install -r requirements.txt \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin server \
    && mkdir -p /models /feedback \
    && chown 10001 /feedback

USER 10001
VOLUME ["/feedback"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
CMD ["python", "-m", "gantrans", "serve", "--registry", "/models", "--store", "/feedback/feedback.sqlite", "--host", "0.0.0.0", "--port", "8000"]
