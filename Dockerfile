# docker build --build-arg ACCELERATOR=cpu|gpu|tpu --tag trainer .
# The base brings CPython 3.10 to 3.13 with pip and venv.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# Changes with the lock and setup.py only.
FROM ${BASE_IMAGE} AS dependencies
ARG ACCELERATOR=cpu
WORKDIR /app
RUN python3 -m venv --without-pip /opt/venv
COPY requirements requirements
COPY setup.py ./
COPY trainer/__init__.py trainer/
# For an index of your own: --secret id=pip,src=pip.conf, which stays out of the image. Headers
# and tests are a fifth of what is installed.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    install="python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --use-pep517" \
    && ${install} -r "requirements/${ACCELERATOR}.txt" \
    && ${install} --no-build-isolation --editable . \
    && rm -rf /opt/venv/lib/python3.*/site-packages/tensorflow/include \
    && find /opt/venv -depth -type d -name tests -exec rm -rf {} +

FROM ${BASE_IMAGE} AS runtime
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /app
COPY configs configs
COPY trainer trainer
# What a container with a read-only root cannot make: bytecode, and where volumes go.
RUN /opt/venv/bin/python -m compileall -q trainer configs \
    && install -d /data \
    && install -d -o 10001 -g 10001 /runs
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    TFDS_DATA_DIR=/data \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
VOLUME /runs
USER 10001:10001
HEALTHCHECK --interval=1m --timeout=20s \
    CMD ["sh", "-c", "trainer doctor --quick --workdir=/runs || exit 1"]
ENTRYPOINT ["trainer"]

# The same image with the tests and what runs them; never pushed. The base's Python has pip.
FROM runtime AS test
USER 0
COPY . .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    PATH="${PATH#*:}" python3 -m pip --python /opt/venv/bin/python install \
    --no-cache-dir --no-deps --use-pep517 -r requirements/dev.txt
USER 10001:10001
ENTRYPOINT ["python", "-m", "pytest", "-p", "no:cacheprovider"]
CMD ["-q", "-n", "2", "--dist", "loadfile", "-m", "not slow"]

FROM runtime
