# The image of one service, from the repository's root:
#   docker build -f deploy/docker/service.Dockerfile --build-arg SERVICE=version -t modelyard/version .
# What several services need lies in layers that their images share: first what all need, then what reads and runs
# models (mostly OpenVINO), then what is the service's own.
ARG BASE_IMAGE=python:3.13-slim
ARG SERVICE

FROM ${BASE_IMAGE} AS pins
RUN --mount=type=bind,source=services,target=/services --mount=type=bind,source=deploy/docker,target=/docker \
    python /docker/shared_pins.py /services/*/requirements.lock >/all.lock \
    && python /docker/shared_pins.py /services/convert/requirements.lock /services/evaluate/requirements.lock \
    /services/import/requirements.lock >/models.lock

FROM ${BASE_IMAGE} AS wheels
ARG SERVICE
WORKDIR /src
COPY deploy/docker/build.lock ./
RUN pip install --no-cache-dir --require-hashes -r build.lock
COPY libs libs
COPY services/${SERVICE} services/${SERVICE}
RUN pip wheel --no-cache-dir --no-index --no-deps --no-build-isolation --wheel-dir /wheels libs/* services/*

FROM ${BASE_IMAGE} AS all
RUN groupadd --system --gid 10001 modelyard \
    && useradd --system --uid 10001 --gid modelyard --no-create-home modelyard \
    && install -d -o modelyard -g modelyard /scratch && python -m venv --without-pip /app
COPY --from=pins /all.lock /app/
RUN pip --python /app/bin/python install --no-cache-dir --no-deps --require-hashes -r /app/all.lock

FROM all AS models
COPY --from=pins /models.lock /app/
RUN pip --python /app/bin/python install --no-cache-dir --no-deps --require-hashes -r /app/models.lock

FROM models AS under-convert
FROM models AS under-evaluate
FROM models AS under-import
FROM all AS under-publish
FROM all AS under-version
FROM all AS under-gateway
EXPOSE 8080

FROM under-${SERVICE}
ARG SERVICE
COPY services/${SERVICE}/requirements.lock /app/
RUN pip --python /app/bin/python install --no-cache-dir --no-deps --require-hashes -r /app/requirements.lock
# Only the members that it stands on. Nothing is fetched: what the lock lacks would be an error here.
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip --python /app/bin/python install --no-cache-dir --quiet --no-index -f /wheels modelyard-${SERVICE}
COPY --chmod=755 deploy/docker/ready /usr/local/bin/
USER 10001:10001
ENV PATH=/app/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 SERVICE=${SERVICE} \
    MODELYARD_HTTP_HOST=0.0.0.0 MODELYARD_HTTP_PORT=8081
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=10s --start-period=2m --retries=6 CMD ["ready"]
CMD ["sh", "-c", "exec python -m modelyard_$SERVICE"]
ARG BASE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="modelyard-${SERVICE}" \
    org.opencontainers.image.description="The ${SERVICE} service of modelyard, a yard for models after training" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.base.name="${BASE_IMAGE}"
