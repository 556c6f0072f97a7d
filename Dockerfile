# syntax=docker/dockerfile:1
# The platform: gateway, worker, actions and migrations, one image. `carethread COMMAND` is its entry point.
#   docker build -t carethread/platform .
#   docker build -t carethread/platform:demo --target demo .      with the synthetic clinic

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
COPY pyproject.toml requirements.lock README.md ./
COPY deploy/runtime_lock.py deploy/
# Nothing is compiled and nothing comes in that the lock does not name by hash.
RUN python deploy/runtime_lock.py pyproject.toml requirements.lock >/tmp/runtime.lock \
 && python -m venv --without-pip /venv \
 && pip --python /venv/bin/python install --no-deps --require-hashes --only-binary :all: -r /tmp/runtime.lock
COPY carethread carethread
COPY actions actions
COPY content content
COPY clinics clinics
COPY programs programs
COPY deploy/probe.py deploy/roles.sql deploy/
RUN pip --python /venv/bin/python install --no-deps --no-build-isolation --no-index -e . \
 && /venv/bin/python -m compileall -q carethread actions

FROM python:3.11-slim-bookworm AS runtime
RUN useradd --system --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin carethread
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    CARETHREAD_HOST=0.0.0.0 CARETHREAD_ACTIONS_HOST=0.0.0.0 CARETHREAD_DATA_DIR=/tmp/carethread
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
USER 10001:10001
ENTRYPOINT ["carethread"]
CMD ["--help"]

# For trying it out: the patient page and a synthetic clinic for an EHR that is empty.
FROM runtime AS demo
COPY sandbox /app/sandbox

FROM runtime AS production
ENV CARETHREAD_ENV=production
EXPOSE 8080 5055
