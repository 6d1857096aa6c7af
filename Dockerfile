# The service (docs/serve.md):
#   docker run -p 8000:8000 -e FORETELL_TOKEN -v "$PWD/model:/models/shop:ro" -v foretell:/home/foretell/store foretell
FROM python:3.11-slim

WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt '.[serve]' && rm -rf /build/*

RUN useradd --create-home --uid 10001 foretell && install -d -o foretell /home/foretell/store /models
USER foretell
WORKDIR /home/foretell
VOLUME /home/foretell/store
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health')"]

# Every model under /models is served by the name of its directory.
CMD ["sh", "-c", "exec foretell serve $(ls -d /models/*/ 2>/dev/null) --host 0.0.0.0 --store store"]
