"""The errors that cross module borders. Each says who is at fault and carries what the answer to it needs."""

from __future__ import annotations


class HsdnsdError(Exception):
    """Base of every error that hsdnsd raises on purpose."""


class WireError(HsdnsdError):
    """Bytes from the network are not a DNS message (RFC 1035 section 4.1).

    The only exception that a function whose name ends in ``_untrusted`` may raise.
    """

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(f"{problem} at octet {offset}")
        self.problem = problem
        self.offset = offset


class NameTextError(HsdnsdError, ValueError):
    """A domain name in text (configuration, a Kubernetes object) is not one (RFC 1035 section 2.3.4)."""


class ManifestError(HsdnsdError):
    """A manifest can't be read; says the file, the document (from 1) and the line (from 1)."""

    def __init__(self, path: str, document: int, line: int, problem: str) -> None:
        super().__init__(f"{path}, document {document}, line {line}: {problem}")
        self.path = path
        self.document = document
        self.line = line
        self.problem = problem


class ConfigError(HsdnsdError):
    """The configuration is wrong; holds every fault found, each as (dotted path of the key, problem)."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for path, problem in faults))
        self.faults = faults


class StartError(HsdnsdError):
    """The daemon can't start (port in use, no permission, no such address); one line for the person who typed."""
