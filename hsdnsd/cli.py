"""The command line: arguments become a configuration, the outcome an exit code.

Exit codes: 0 fine, 1 a part failed (or could not start), 2 usage or configuration. Parts are imported when they are
needed: `version` and `check-config` are quick, and only who watches an API server pays for its client.
"""

from __future__ import annotations

import argparse
import functools
import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hsdnsd import __version__
from hsdnsd.errors import ConfigError, HsdnsdError

if TYPE_CHECKING:
    from hsdnsd.config import Config

OK, FAILED, WRONG = 0, 1, 2

_DESCRIPTION = "Node-local DNS cache and proxy that answers Kubernetes names from a watch."

_COMMANDS = """\
examples:
  hsdnsd serve --manifests examples/ --listen 127.0.0.1:5353
      serve the Services in a folder of Kubernetes YAML; try: dig @127.0.0.1 -p 5353 NAME
  hsdnsd serve --kubeconfig ~/.kube/config --listen 127.0.0.1:5353
      serve the cluster that kubectl talks to
  hsdnsd check-config --config hsdnsd.toml
      print the whole configuration, or everything that is wrong with it
  hsdnsd cache flush example.com
      let the running daemon forget what it knows of a zone; also: hsdnsd cache dump
  hsdnsd version

`hsdnsd serve --help` has all options. Exit codes: 0 fine, 1 failed while starting or running, 2 wrong usage or
configuration."""

_OPTIONS = """\
An option on the command line counts before the same key in the file, and --set before the other options. The keys,
their defaults and their reasons: docs/configuration.md, or `hsdnsd check-config`.

examples:
  hsdnsd serve --manifests services.yaml --manifests more/ --listen 127.0.0.1:5353
  hsdnsd serve --in-cluster --listen 0.0.0.0:53 --listen '[::]:53' --admin 0.0.0.0:9253
  hsdnsd serve --upstream 10.0.0.10 --upstream '[2001:db8::1]:5353' --admin ''
      no own zones: forward and cache, without HTTP
  hsdnsd serve --config hsdnsd.toml --set zone.ttl=30 --set zone.namespaces=shop,billing --log-level debug
  hsdnsd serve --config hsdnsd.toml --set forward.stub_zones.corp.example=10.1.0.53,10.2.0.53"""

# Option (as argparse names it) -> key of the configuration.
_KEYS = {
    "manifests": "source.manifests",
    "kubeconfig": "source.kubeconfig",
    "in_cluster": "source.in_cluster",
    "listen": "listen",
    "upstream": "forward.upstreams",
    "admin": "admin",
    "log_level": "log.level",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        if options.command == "version":
            return _version()
        if options.command == "cache":
            return _cache(options)
        config = _configuration(options)
        if options.command == "check-config":
            return _check_config(config)
        return _serve(config, options)
    except ConfigError as error:
        for path, problem in error.faults:
            _complain(f"{path}: {problem}")
        return WRONG
    except (HsdnsdError, ImportError) as error:
        # ImportError: the native part is not built, and says what to do.
        _complain(str(error))
        return FAILED


def build_parser() -> argparse.ArgumentParser:
    """All commands and options."""
    parser = _Parser(prog="hsdnsd", description=_DESCRIPTION, epilog=_COMMANDS)
    commands = parser.add_subparsers(dest="command", required=True, title="commands", metavar="COMMAND")
    serve = "serve DNS until SIGTERM or SIGINT"
    check = "print the configuration as TOML, or what is wrong with it"
    for name, text in (("serve", serve), ("check-config", check)):
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=_OPTIONS)
        _add_options(command)
    _add_cache(commands.add_parser("cache", help="look into, or empty, the cache of a running daemon"))
    commands.add_parser("version", help="print the versions of hsdnsd and of what it runs on")
    return parser


class _Parser(argparse.ArgumentParser):
    """No abbreviations (they would become part of the contract), and line breaks as they are written here."""

    def __init__(self, prog: str, description: str = "", epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=functools.partial(argparse.RawDescriptionHelpFormatter, max_help_position=28),
        )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="a configuration in TOML")
    source = parser.add_argument_group(
        "where the Kubernetes objects come from (one of three; none: forward and cache only)"
    )
    source.add_argument(
        "--manifests",
        metavar="PATH",
        action="append",
        help="a YAML file, or a folder of them; repeatable; watched for changes",
    )
    source.add_argument("--kubeconfig", metavar="FILE", help="the cluster that a kubeconfig file names")
    source.add_argument(
        "--in-cluster", action="store_const", const=True, help="the cluster we run in, with the pod's service account"
    )
    sockets = parser.add_argument_group("addresses (of IPv6: [ADDR]:PORT)")
    sockets.add_argument(
        "--listen",
        metavar="ADDR:PORT",
        action="append",
        help="serve DNS here, over UDP and TCP; repeatable (127.0.0.1:53)",
    )
    sockets.add_argument(
        "--upstream",
        metavar="ADDR:PORT",
        action="append",
        help="ask this server for every other name; repeatable (those of /etc/resolv.conf)",
    )
    sockets.add_argument(
        "--admin", metavar="ADDR:PORT", help="serve /metrics, /livez and /readyz here (127.0.0.1:9253); '': nowhere"
    )
    rest = parser.add_argument_group("everything else")
    rest.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set any key of the configuration; repeatable, the last one of a key counts",
    )
    rest.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error (info)")


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--daemon", metavar="ADDR:PORT", help="which one, by its first listening address (needed if several run here)"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, title="commands", metavar="COMMAND")
    flush = verbs.add_parser("flush", help="forget what upstreams have said of a name and all below it, or of all")
    flush.add_argument("name", metavar="NAME|ZONE|all", help="a name, a zone, or the word `all`")
    verbs.add_parser("dump", help="print a line for each entry: name, type, flags, kind, rcode, records, seconds left")


def _configuration(options: argparse.Namespace) -> Config:
    from hsdnsd.config import load
    from hsdnsd.kube.selector import parse_selector
    from hsdnsd.schema_text import toml_value

    given = {key: getattr(options, name) for name, key in _KEYS.items()}
    settings = [f"{key}={toml_value(value)}" for key, value in given.items() if value is not None]
    text = "" if options.config is None else _read(options.config)
    return load(text, [*settings, *options.set], selector=parse_selector, file=options.config or "")


def _read(path: str) -> str:
    """The text of the configuration file.

    Raises:
        ConfigError: it can't be read, or is no text.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([(path, error.strerror or str(error))]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([(path, f"not UTF-8 at octet {error.start}")]) from None


def _serve(config: Config, options: argparse.Namespace) -> int:
    # Nothing of what is imported and recalled now is garbage: the daemon lets the collector begin after that.
    gc.disable()
    from hsdnsd.daemon import run

    return run(config, options.config, functools.partial(_configuration, options))


def _check_config(config: Config) -> int:
    from hsdnsd.schema_text import to_toml

    sys.stdout.write(to_toml(config))
    return OK


def _cache(options: argparse.Namespace) -> int:
    from hsdnsd.admin.control_client import command

    words = ["flush", options.name] if options.verb == "flush" else ["dump"]
    for line in command(words, options.daemon):
        sys.stdout.write(line + "\n")
    return OK


def _version() -> int:
    import importlib.metadata
    import platform

    from hsdnsd import native

    lines = [
        f"hsdnsd {__version__}",
        f"Python {platform.python_version()}",
        f"uvloop {importlib.metadata.version('uvloop')}",
        f"packet path: {native.which()}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return OK


def _complain(line: str) -> None:
    sys.stderr.write(f"hsdnsd: {line}\n")
