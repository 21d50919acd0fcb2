"""A data set: Kubernetes objects, the options a server needs, questions, and the answers that are right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Case = dict[str, Any]


@dataclass(frozen=True)
class DataSet:
    """One folder with `cases.yaml` and, unless nothing is ever known of the cluster, `manifests.yaml`."""

    name: str
    manifests: str
    options: dict[str, Any]
    upstream: list[dict[str, Any]]
    cases: list[Case]

    @property
    def sequence(self) -> str | None:
        """What the steps of one story have in common (`updates` of `updates-2`); None if it is no step."""
        step = re.fullmatch(r"(.+)-\d+", self.name)
        return step[1] if step else None


def load(folder: Path) -> DataSet:
    """Read one data set."""
    document = yaml.safe_load((folder / "cases.yaml").read_text())
    manifests = folder / "manifests.yaml"
    return DataSet(
        name=folder.name,
        manifests=manifests.read_text() if manifests.exists() else "",
        options=document.get("options") or {},
        upstream=document.get("upstream") or [],
        cases=document.get("cases") or [],
    )


def find(folder: Path) -> list[list[DataSet]]:
    """The data sets of a folder (or the one that it is), steps of one story together in their order."""
    folders = [folder] if (folder / "cases.yaml").exists() else sorted(p.parent for p in folder.glob("*/cases.yaml"))
    stories: list[list[DataSet]] = []
    for dataset in map(load, folders):
        before = stories[-1][-1] if stories else None
        if before and dataset.sequence and (before.sequence, before.options) == (dataset.sequence, dataset.options):
            stories[-1].append(dataset)
        else:
            stories.append([dataset])
    return stories
