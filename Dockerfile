# The image of one node's DNS. `docker build -t hsdnsd:0.1.0 .`; deploy/ runs it.
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY hsdnsd hsdnsd
RUN pip wheel --no-cache-dir --wheel-dir /wheels .
# --compile: bytecode is written here, because the image runs with a read-only root. No pip in what is shipped.
RUN python -m venv --without-pip /opt/hsdnsd \
 && pip --python /opt/hsdnsd/bin/python install --no-cache-dir --compile --no-index --find-links /wheels hsdnsd
# Fails unless the native part is there and loads: an image without it must not exist.
RUN cd / && /opt/hsdnsd/bin/python -c "import hsdnsd.native"

FROM ${PYTHON}
COPY --from=build /opt/hsdnsd /opt/hsdnsd
ENV PATH=/opt/hsdnsd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Nobody in particular: it needs no right of root as long as it listens above port 1023, as deploy/ has it do.
USER 65532:65532
EXPOSE 5353/udp 5353/tcp 9253/tcp
ENTRYPOINT ["hsdnsd"]
CMD ["serve", "--config", "/etc/hsdnsd/hsdnsd.toml"]
