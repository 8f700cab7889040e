#!/bin/sh
# run.sh PYTHON SCRIPT: runs an oracle, or says that its Python is not there (exit status 77: skipped).
test -x "$1" || { echo "skipped: no $1 (scripts/setup.sh --tests makes .venv, --slow .venv-slow)"; exit 77; }
exec "$@"
