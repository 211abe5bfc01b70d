"""Packages of the wheel: what pyproject.toml cannot say is that the folder configs/ is the package cse.configs."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["cse", "cse.*", "simulate", "simulate.*"]), "cse.configs"],
    package_dir={"cse.configs": "configs"},
)
