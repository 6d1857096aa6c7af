# The service (docs/serve.md). Saved models can be read by their owner alone, so run it as the owner:
#   docker run --user "$(id -u)" -p 8000:8000 -e FORETELL_TOKEN -v "$PWD/model:/models/shop:ro" -v foretell:/data foretell
FROM python:3.11-slim

WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt '.[serve]' && rm -rf /build/*

# Whoever it runs as keeps here what is sent, fitted and compiled.
RUN useradd --uid 10001 foretell && install -d -m 1777 /data && install -d /models
ENV HOME=/data XDG_CACHE_HOME=/data/cache
USER foretell
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health')"]

# Every model under /models is served by the name of its directory.
CMD ["sh", "-c", "exec foretell serve $(ls -d /models/*/ 2>/dev/null) --host 0.0.0.0 --store store"]
