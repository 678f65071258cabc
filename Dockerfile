# Built in two stages: the compiler's tools and pip's cache stay behind in the first.
FROM python:3.11-slim AS build
WORKDIR /source
RUN python3 -m venv /opt/vitrine
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY app app
COPY migrations migrations
RUN /opt/vitrine/bin/pip install --no-cache-dir --disable-pip-version-check \
      --constraint constraints.txt '.[postgresql]' \
 && /opt/vitrine/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
RUN groupadd --gid 10001 vitrine \
 && useradd --uid 10001 --gid vitrine --home-dir /data --no-create-home --shell /usr/sbin/nologin vitrine \
 && mkdir -p /data/artifacts \
 && chown -R vitrine:vitrine /data
COPY --from=build /opt/vitrine /opt/vitrine
ENV PATH=/opt/vitrine/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VITRINE_HOST=0.0.0.0 \
    VITRINE_PORT=8000 \
    VITRINE_DATABASE_URL=sqlite:////data/vitrine.db \
    VITRINE_ARTIFACTS=/data/artifacts \
    VITRINE_METRICS_DIR=/tmp/vitrine-metrics
WORKDIR /data
VOLUME /data
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['VITRINE_PORT']}/health/live\", timeout=2)"]
ENTRYPOINT ["vitrine"]
CMD ["serve"]
