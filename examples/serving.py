# %% [markdown]
# # A service, and a program that asks it
#
# A model in a directory is all that [`foretell serve`](../serve.md) needs.

# %%
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import foretell as ft

log = ft.read_events(ft.datasets.load_cdnow(sample=True), id="customer_id", time="date")
ft.EventForecaster(model="prior").fit(log, as_of="1997-09-30").save("shop")

# %% [markdown]
# ## Start
#
# In a shell that is `foretell serve shop/`. Here it runs beside this program: `--port 0` takes a port that
# is free, and the first line on stderr says which; what follows is its log.

# %%
foretell = Path(sys.executable).with_name("foretell")
service = subprocess.Popen([foretell, "serve", "shop", "--port", "0"], stderr=subprocess.PIPE, text=True)
address = service.stderr.readline().strip()


def ask(path, body=None):
    """Return what the service answers; a body is posted."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


print([model["name"] for model in ask("/v1/models")["models"]])
# > ['shop']

# %% [markdown]
# ## One customer

# %%
row = ask("/v1/models/shop/customers/111?horizon=30d&level=80")
print(row["last_event"], row["next_event"], round(row["p_return_30d"], 2))
# > 1997-07-26 1997-11-06 0.3

# %% [markdown]
# ## What if the customer came today?
#
# Visits in the question are looked at as if they had come, and not kept.

# %%
visit = {"id": 111, "time": "1997-10-02"}
(row,) = ask("/v1/models/shop/predict", {"ids": [111], "horizons": ["30d"], "visits": [visit]})["rows"]
print(row["last_event"], row["next_event"], round(row["p_return_30d"], 2))
# > 1997-10-02 1997-10-31 0.48

# %% [markdown]
# ## All together

# %%
for month in ask("/v1/models/shop/totals", {"horizon": "3mo", "by": ["month"]})["rows"]:
    print(month["ds"], round(month["visits"]), month["visits-lo-80"], month["visits-hi-80"])
# > 1997-10-01 234 181.0 289.0
# > 1997-11-01 213 165.0 265.0
# > 1997-12-01 201 155.0 249.0

# %% [markdown]
# ## The end

# %%
service.terminate()
service.wait()
service.stderr.close()
