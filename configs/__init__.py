"""Hydra configs of the commands of `cse`; in a wheel this folder is the package `cse.configs`."""
