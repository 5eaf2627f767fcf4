#!/usr/bin/env bash
# The Python package as it is installed: builds its wheel as the other tests are built, and runs crates/python/tests
# against the program that they have built. scripts/tests/python.sh [PYTEST ARGUMENT]...
. "$(dirname "$0")/../common.sh"
wheels=$cache/python/wheels
rm -rf "$wheels"
scripts/wheel.sh "$wheels" --profile dev --features as-workspace

python=$(python3 scripts/environment.py python)
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheels"/*.whl
export PAIR2SCORE=${PAIR2SCORE:-$CARGO_TARGET_DIR/debug/pair2score}
cd crates/python/tests
"$python" -m pytest --quiet -p no:cacheprovider "$@"
