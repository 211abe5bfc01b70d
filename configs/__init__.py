"""Hydra configs of `cse train`, `cse simulate` and `cse evaluate`; in a wheel this folder is the package `cse.configs`."""
