"""The engine: cells, networks, distributions, the compiled training loop, ensembles."""
