from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from hsdnsd import native
from hsdnsd.cli import build_parser, main
from hsdnsd.config import Config, load
from hsdnsd.errors import ConfigError, StartError

OPTIONS = (
    "--config",
    "--manifests",
    "--kubeconfig",
    "--in-cluster",
    "--listen",
    "--upstream",
    "--admin",
    "--set",
    "--log-level",
)


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Config:
    """The configuration that check-config prints."""
    code = main(["check-config", *arguments])
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    return load(printed.out)


def complaints(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """What check-config complains of."""
    code = main(["check-config", *arguments])
    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    return printed.err.splitlines()


Run = Callable[[Config, str | None, Callable[[], Config]], int]


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Puts a function where the daemon is."""

    def put(run: Run) -> None:
        module = types.ModuleType("hsdnsd.daemon")
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "hsdnsd.daemon", module)

    return put


def test_the_configuration_of_no_options_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(capsys) == Config()


def test_options_become_keys(capsys: pytest.CaptureFixture[str]) -> None:
    config = checked(
        capsys,
        *("--manifests", "a, b", "--manifests", 'c"'),
        *("--listen", "127.0.0.1:5353", "--listen", "[::1]:5353"),
        *("--upstream", "10.0.0.10", "--upstream", "[2001:db8::1]:54"),
        *("--admin", ""),
        *("--log-level", "debug"),
        *("--set", "zone.ttl=30", "--set", "zone.namespaces=shop,billing", "--set", "zone.ttl=31"),
    )
    assert config.source.manifests == ("a, b", 'c"')
    assert config.listen == ("127.0.0.1:5353", "[::1]:5353")
    assert config.forward.upstreams == ("10.0.0.10", "[2001:db8::1]:54")
    assert config.admin == ""
    assert config.log.level == "debug"
    assert config.zone.ttl == 31
    assert config.zone.namespaces == ("shop", "billing")


@pytest.mark.parametrize(("option", "key"), [(["--kubeconfig", "a"], "kubeconfig"), (["--in-cluster"], "in_cluster")])
def test_sources(capsys: pytest.CaptureFixture[str], option: list[str], key: str) -> None:
    assert getattr(checked(capsys, *option).source, key)


def test_options_count_before_the_file_and_set_before_options(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "hsdnsd.toml"
    file.write_text('listen = ["127.0.0.1:1"]\nadmin = "127.0.0.1:2"\n[zone]\nttl = 9\npods = "insecure"\n')
    config = checked(
        capsys, "--config", str(file), "--set", "listen=127.0.0.1:4", "--listen", "127.0.0.1:3", "--set", "zone.ttl=8"
    )
    assert config.listen == ("127.0.0.1:4",)
    assert config.admin == "127.0.0.1:2"
    assert (config.zone.ttl, config.zone.pods) == (8, "insecure")


def test_each_fault_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = complaints(
        capsys, "--listen", "x", "--in-cluster", "--kubeconfig", "a", "--set", "zone.tll=1", "--set", "zone.labels=a in"
    )
    assert [line.split(": ")[1] for line in lines] == ["zone.tll", "listen[0]", "zone.labels", "source"]
    assert all(line.startswith("hsdnsd: ") for line in lines)


def test_a_file_that_is_not_toml(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "hsdnsd.toml"
    file.write_text("[zone]\nttl = = 5\n")
    [line] = complaints(capsys, "--config", str(file))
    assert line.startswith(f"hsdnsd: {file}, line 2, column 7: ")


def test_a_file_that_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert complaints(capsys, "--config", str(missing)) == [f"hsdnsd: {missing}: No such file or directory"]
    binary = tmp_path / "binary"
    binary.write_bytes(b"a = \xff")
    assert complaints(capsys, "--config", str(binary)) == [f"hsdnsd: {binary}: not UTF-8 at octet 4"]


def test_serve_runs_the_daemon_and_hands_on_its_exit_code(daemon: Callable[[Run], None]) -> None:
    ran: list[tuple[Config, str | None]] = []

    def run(config: Config, path: str | None, _: Callable[[], Config]) -> int:
        ran.append((config, path))
        return 7

    daemon(run)
    assert main(["serve", "--set", "zone.ttl=9"]) == 7
    assert ran == [(load("", ["zone.ttl=9"]), None)]


def test_the_file_can_be_read_again_with_the_same_options_over_it(
    daemon: Callable[[Run], None], tmp_path: Path
) -> None:
    file = tmp_path / "hsdnsd.toml"
    file.write_text("drain = 1\n[zone]\nttl = 1\n")

    def run(config: Config, path: str | None, read: Callable[[], Config]) -> int:
        assert (config.drain, config.zone.ttl, path) == (1, 9, str(file))
        file.write_text("drain = 2\n[zone]\nttl = 2\n")
        assert (read().drain, read().zone.ttl) == (2, 9)
        file.write_text("drain = []")
        with pytest.raises(ConfigError):
            read()
        file.unlink()
        with pytest.raises(ConfigError):
            read()
        return 0

    daemon(run)
    assert main(["serve", "--config", str(file), "--set", "zone.ttl=9"]) == 0


@pytest.mark.parametrize(
    ("error", "code", "complaint"),
    [
        (StartError("can't listen on 127.0.0.1:53 (UDP): the port is in use"), 1, "can't listen on 127.0.0.1:53 (UDP)"),
        (ConfigError([("forward.resolv_conf", "no nameserver")]), 2, "forward.resolv_conf: no nameserver\n"),
        (native.NativeMissingError("the native part is not built"), 1, "the native part is not built\n"),
    ],
)
def test_what_keeps_the_daemon_from_starting_is_one_line(
    capsys: pytest.CaptureFixture[str],
    daemon: Callable[[Run], None],
    error: Exception,
    code: int,
    complaint: str,
) -> None:
    def run(*_: object) -> int:
        raise error

    daemon(run)
    assert main(["serve"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"hsdnsd: {complaint}")
    assert printed.err.count("\n") == 1


def test_a_wrong_configuration_starts_nothing(
    capsys: pytest.CaptureFixture[str], daemon: Callable[[Run], None]
) -> None:
    def run(*_: object) -> int:
        raise AssertionError

    daemon(run)
    assert main(["serve", "--set", "zone.ttl=never"]) == 2
    assert capsys.readouterr().err == (
        'hsdnsd: zone.ttl: expected a whole number from 0 to 3600 (seconds), got "never"\n'
    )


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"hsdnsd {importlib.metadata.version('hsdnsd')}"
    assert lines[1].startswith("Python 3.")
    assert lines[2] == f"uvloop {importlib.metadata.version('uvloop')}"
    assert lines[3] == f"packet path: {native.which()}"


@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_help_has_every_option_and_ends_with_examples_that_work(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in OPTIONS:
        assert f"  {option}" in text
    examples = [line.split()[2:] for line in text.splitlines() if line.startswith("  hsdnsd serve ")]
    assert len(examples) >= 4
    for arguments in examples:
        options = build_parser().parse_args(["serve", *(argument.strip("'") for argument in arguments)])
        load("", options.set)


def test_the_first_help_names_commands_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for words in ("serve", "check-config", "version", "examples:", "Exit codes: 0 fine, 1 ", "2 wrong usage"):
        assert words in text


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["start"],
        ["serve", "--manifest", "a"],
        ["serve", "--listen"],
        ["serve", "extra"],
        ["version", "--set", "a=b"],
    ],
)
def test_wrong_usage_exits_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: hsdnsd" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["version", "check-config"])
def test_quick_commands_load_no_more_than_they_need(command: str) -> None:
    program = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(['kubernetes_asyncio', 'aiohttp', 'prometheus_client'])\n"
        "from hsdnsd.cli import main\n"
        f"code = main([{command!r}])\n"
        "assert 'asyncio' not in sys.modules and 'uvloop' not in sys.modules and 'yaml' not in sys.modules\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_module_can_be_run() -> None:
    done = subprocess.run([sys.executable, "-m", "hsdnsd", "version"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hsdnsd ")
