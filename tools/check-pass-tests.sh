#!/usr/bin/env bash
# Fails on a pass without a test of the same name: every pass that a Passes.td
# defines (argument txs-foo-bar) needs a txs-foo-bar.mlir under test/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
missing=0
while read -r pass; do
  if [ -z "$(git ls-files "test/**/$pass.mlir")" ]; then
    echo "pass '$pass' has no test/**/$pass.mlir" >&2
    missing=1
  fi
done < <(git ls-files '*.td' | xargs sed -nE 's/^def [A-Za-z0-9]+ *: *Pass<"([^"]+)".*/\1/p')
exit $missing
