#!/bin/sh
# Builds the native part with AddressSanitizer and UndefinedBehaviorSanitizer beside the ordinary build, and runs its
# tests over that: a read or write outside of what was laid out, a leak of the kind or an undefined operation ends the run.
#
# usage: tests/native/sanitize.sh [pytest arguments]
# PYTHON: the interpreter, .venv/bin/python unless said otherwise. CC: gcc or another that knows -fsanitize.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=$(command -v "${PYTHON:-.venv/bin/python}")
CC=${CC:-gcc}
out=build/sanitize

asan=$($CC -print-file-name=libasan.so)
case $asan in
    /*) ;;
    *) echo "sanitize: $CC has no libasan; install it (Debian: apt-get install libgcc-12-dev)" >&2; exit 1 ;;
esac

# setup.py needs Cython, which only the build's own environment has otherwise.
"$PYTHON" -c 'import Cython, setuptools' 2>/dev/null || "$PYTHON" -m pip install --quiet 'Cython>=3.3,<4' 'setuptools>=77'

rm -rf "$out"
CC=$CC \
CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined' \
LDFLAGS='-fsanitize=address,undefined' \
    "$PYTHON" setup.py --quiet build --build-base "$out" --build-lib "$out/lib" --force

# malloc for everything of Python's, so that every object has its own guarded block; leaks are not looked for, as the
# interpreter itself keeps much for its lifetime.
LD_PRELOAD="$asan" PYTHONMALLOC=malloc \
ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:handle_segv=1:strict_string_checks=1 \
UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    "$PYTHON" -m pytest -q --capture=sys -p no:cacheprovider -o "pythonpath=$out/lib ." "$@" tests/native tests/properties/test_native_twins.py
