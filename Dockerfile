# One image for both daemons: docker run IMAGE splitd …, docker run IMAGE storaged …

FROM python:3.12-slim-bookworm AS build
COPY . /src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /src \
 && python -m venv /opt/splitd \
 && /opt/splitd/bin/pip install --no-cache-dir /wheels/*.whl

FROM python:3.12-slim-bookworm
# A fixed id, so that what lies in volumes keeps its owner from one image to the next.
RUN groupadd --gid 10001 splitd \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin splitd \
 # A new volume takes its owner from the folder it is mounted on.
 && install --directory --owner splitd --group splitd --mode 0700 /data /key /users /tls
COPY --from=build /opt/splitd /opt/splitd
ENV PATH=/opt/splitd/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Twisted's list of plugins.  At run time nobody may write it, and each start would complain.
RUN python -c "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))"
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["twistd", "-n", "--pidfile="]
CMD ["--help"]
