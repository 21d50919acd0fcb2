"""What holds for the repository as a whole: modules and tests mirror each other, the documents name what exists."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsdnsd import __version__

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "deploy/README.md")
FOLDERS = ("hsdnsd", "tests", "bench", "deploy", "docs", "examples", "fuzz", ".ci")

# Modules without a test module of their own name, and where they are tested instead.
UNMIRRORED = {
    "__main__": "one line; what it calls is tested as hsdnsd.cli",
    "admin/route": "types only",
    "daemon": "runs whole, as a process, in tests/daemon",
    "errors": "types only; each is tested where it is raised",
    "native/_compress": "how replies are written again; tested as native/_accept",
    "native/_cursor": "how replies are read; tested as native/_accept",
    "native/_flight": "how flights begin; tested as native/_flights",
    "native/_landing": "how flights end; tested as native/_flights",
    "native/_sky": "what flights have in common; tested as native/_flights",
    "native/_endpoint": "what _batch and _worker have in common; tested as each of them",
    "native/_rdata": "how rdata of replies is read; tested as native/_accept",
    "native/flight_contract": "types only",
    "records/model": "types only",
    "records/options": "types only",
    "records/result": "types only",
}


def tracked() -> list[Path]:
    """Every file that is, or is about to be, in the repository; outside a clone (an sdist) what lies in its folders."""
    if (git := shutil.which("git")) and (ROOT / ".git").exists():
        command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
        return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")] + list(ROOT.iterdir())
    made = {"__pycache__", "out", ".so", ".c"}
    return [path for path in files if path.is_file() and not made & {path.suffix, *path.parts}]


TRACKED = tracked()


def modules() -> list[str]:
    """Modules of the package that hold code, as "wire/name"; a Cython module and its pure twin (`_x_py`) are one."""
    paths = [path.relative_to(ROOT / "hsdnsd") for path in TRACKED if path.is_relative_to(ROOT / "hsdnsd")]
    code = [path for path in paths if path.suffix in {".py", ".pyx"} and path.stem not in {"__init__", "contract"}]
    return sorted({str(path.with_name(path.stem.removesuffix("_py"))) for path in code})


@pytest.mark.parametrize("module", modules())
def test_every_module_has_its_test_module(module: str) -> None:
    if module in UNMIRRORED:
        return
    folder, _, name = module.rpartition("/")
    expected = ROOT / "tests" / folder / f"test_{name.lstrip('_')}.py"
    assert expected.is_file(), f"hsdnsd/{module} has no {expected.relative_to(ROOT)}"


def test_no_exception_is_stale() -> None:
    assert set(UNMIRRORED) <= set(modules())


def test_python_files_stay_below_500_lines() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in TRACKED if path.suffix == ".py"}
    assert len(lengths) > 50
    assert {path: lines for path, lines in lengths.items() if lines >= 500} == {}


def imports(path: Path) -> Iterator[str]:
    """Top-level names of the modules that a Python or Cython file imports."""
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                yield node.module.partition(".")[0]
    else:
        yield from re.findall(r"^\s*(?:from|c?import)\s+(\w+)", path.read_text(), re.MULTILINE)


def test_the_daemon_draws_its_random_numbers_from_the_system() -> None:
    """Ids that can be guessed are answers that can be forged (RFC 5452): os.urandom or `secrets`, never `random`."""
    product = [
        path for path in TRACKED if path.is_relative_to(ROOT / "hsdnsd") and path.suffix in {".py", ".pyx", ".pxd"}
    ]
    assert any(re.search(r"\burandom\b|\bsecrets\b", path.read_text()) for path in product)
    assert [path for path in product if "random" in imports(path)] == []


# Spelled in two parts, so that this file does not hold them.
FORBIDDEN = [
    left.encode() + right.encode()
    for left, right in (
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("../sha", "red"),
        ("sha", "red/reference"),
        ("issue", " 3 "),
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("proxy.go", "lang.org"),
        ("sum.go", "lang.org"),
        ("crates", ".io"),
        ("npm", "js.org"),
        ("deb.deb", "ian.org"),
        ("docker", ".io"),
        ("gcr", ".io"),
        ("ghcr", ".io"),
        ("quay", ".io"),
        ("registry.", "k8s.io"),
    )
]


@pytest.mark.parametrize("text", FORBIDDEN, ids=bytes.decode)
def test_nothing_names_a_build_machine_or_a_registry(text: bytes) -> None:
    assert [str(path.relative_to(ROOT)) for path in TRACKED if text in path.read_bytes()] == []


# The documents


def named_paths(document: str) -> set[str]:
    """What a document names in `code` or as a link's target, and that lies in the repository by the look of it."""
    text = (ROOT / document).read_text()
    words = {word for code in re.findall(r"`([^`\n]+)`", text) for word in code.split()}
    links = {link for link in re.findall(r"\]\(([^)#\s]+)", text) if not link.startswith(("http:", "https:"))}
    inside = re.compile(rf"(?:{'|'.join(re.escape(folder) for folder in FOLDERS)})/[\w./*<>-]*")
    at_root = re.compile(r"(?:Makefile|Dockerfile|LICENSE|pyproject\.toml|setup\.py|[\w-]+\.(?:md|yaml))")
    base = Path(document).parent
    relative = {str(base / link) for link in links}
    here = {str(base / word) for word in words if at_root.fullmatch(word)}
    return relative | here | {word for word in words if inside.fullmatch(word)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_that_a_document_names_exist(document: str) -> None:
    missing = {name for name in named_paths(document) if not list(ROOT.glob(name))}
    assert missing == set()


def test_the_architecture_names_every_package() -> None:
    packages = {str(path.parent.relative_to(ROOT)) + "/" for path in TRACKED if path.match("hsdnsd/*/__init__.py")}
    assert packages
    assert packages <= named_paths("ARCHITECTURE.md")


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*  ## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_make_target_has_its_line_of_help() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony
    assert make_targets() == set(phony[1].split())
    assert len(make_targets()) <= 14


@pytest.mark.parametrize("document", [*DOCUMENTS, ".ci/run"])
def test_make_targets_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    if document.endswith(".md"):
        text = "\n".join(code_of(text))
    named = {target for words in re.findall(r"\bmake((?: [a-z-]+)+)", text) for target in words.split()}
    assert named <= make_targets()


def code_of(text: str) -> list[str]:
    """The `code` and the code blocks of a Markdown text."""
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def test_ci_runs_what_a_person_would() -> None:
    called = set(
        re.findall(r"[a-z-]+", " ".join(re.findall(r"^make (.*)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)))
    )
    assert {"build", "lint", "types", "contracts", "test", "sanitize", "dist", "cluster-test"} <= called


def test_the_changelog_knows_the_version() -> None:
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


# The image


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, the rest) pairs, comments out, continued lines joined."""
    text = "\n".join(
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")
    )
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_is_made_in_two_stages_from_one_base() -> None:
    arguments = dict(rest.split("=", 1) for word, rest in instructions() if word == "ARG")
    stages = [rest for word, rest in instructions() if word == "FROM"]
    assert stages == ["${PYTHON} AS build", "${PYTHON}"]
    assert re.fullmatch(r"python:3\.\d+-slim", arguments["PYTHON"])


def test_the_image_copies_what_exists_and_what_the_builder_is_sent() -> None:
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    names = {name for names in copied for name in names}
    assert {name for name in names if not (ROOT / name).exists()} == set()
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert sent == names


def test_the_image_cannot_be_built_without_the_native_part() -> None:
    runs = [rest for word, rest in instructions() if word == "RUN"]
    assert any('-c "import hsdnsd.native"' in run for run in runs)
    assert not any("HSDNSD_PURE" in rest for _, rest in instructions())


def test_the_image_runs_the_daemon_as_nobody() -> None:
    words = [word for word, _ in instructions()]
    final = dict(instructions()[len(words) - words[::-1].index("FROM") :])
    assert final["ENTRYPOINT"] == '["hsdnsd"]'
    user = final["USER"].split(":")[0]
    assert user.isdecimal()
    assert user != "0"
