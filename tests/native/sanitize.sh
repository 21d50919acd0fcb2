#!/bin/sh
# Builds the native part with sanitizers, beside the ordinary build, and runs its tests over that: first AddressSanitizer
# and UndefinedBehaviorSanitizer over all of them, then ThreadSanitizer over those with worker threads. The first read or
# write outside of what was laid out, undefined operation, or access without order between threads ends the run.
#
# usage: tests/native/sanitize.sh [pytest arguments]
# PYTHON: the interpreter, .venv/bin/python unless said otherwise. CC: gcc unless said otherwise.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=$(command -v "${PYTHON:-.venv/bin/python}")
CC=${CC:-gcc}
export CC
out=build/sanitize

library() {
    path=$($CC -print-file-name="lib$1.so")
    case $path in
        /*) echo "$path" ;;
        *) echo "sanitize: $CC has no lib$1; install it (Debian: apt-get install libgcc-12-dev)" >&2; exit 1 ;;
    esac
}

build() {  # SANITIZERS FOLDER
    rm -rf "$2"
    CFLAGS="-O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined -fsanitize=$1" LDFLAGS="-fsanitize=$1" \
        "$PYTHON" setup.py --quiet build --build-base "$2" --build-lib "$2/lib" --force
}

# ThreadSanitizer wants its addresses free, where this may be had.
fixed=
! setarch -R true 2>/dev/null || fixed='setarch -R'

# --capture=sys leaves the sanitizers' stderr alone.
check() {  # LIBRARY FOLDER [pytest arguments]
    preload=$(library "$1")
    folder=$2
    shift 2
    LD_PRELOAD=$preload $fixed "$PYTHON" -m pytest -q --capture=sys -p no:cacheprovider -o "pythonpath=$folder/lib ." "$@"
}

# setup.py needs Cython, which only the build's own environment has otherwise.
"$PYTHON" -c 'import Cython, setuptools' 2>/dev/null || "$PYTHON" -m pip install --quiet 'Cython>=3.3,<4' 'setuptools>=77'

# Python's own objects come from malloc, so that each has its guarded block; leaks are not looked for, as the interpreter
# keeps much for its lifetime.
build address,undefined $out/address
PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    check asan $out/address "$@" tests/native tests/properties/test_native_twins.py tests/properties/test_native_accept.py

build thread $out/thread
TSAN_OPTIONS=halt_on_error=1 check tsan $out/thread "$@" tests/native/test_worker.py tests/native/test_flights.py \
    tests/native/test_outlets.py
