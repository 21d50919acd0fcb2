"""Building the native part where something is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_without_a_compiler_the_build_says_so_in_one_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "setup.py",
        "--quiet",
        "build_ext",
        "--force",
        "--build-temp",
        tmp_path,
        "--build-lib",
        tmp_path,
    ]
    environment = os.environ | {"CC": "no-such-compiler"}
    outcome = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 1
    [said] = outcome.stderr.splitlines()[-1:]
    assert said.startswith("hsdnsd: there is no C compiler 'no-such-compiler': install one")
    assert "Traceback" not in outcome.stderr
    assert list(tmp_path.iterdir()) == []
