#!/usr/bin/env bash
# Fails on a pass without a test of the same name: pass `txs-foo-bar` needs a
# FooBar.mlir or foo-bar.mlir somewhere under test/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

passes() {
  git ls-files '*.td' | xargs sed -nE 's/^def [A-Za-z0-9]+ *: *Pass<"([^"]+)".*/\1/p'
  git ls-files 'passes/*.cpp' 'codegen/*.cpp' |
    xargs sed -nE 's/.*getArgument\(\) const override \{ return "([^"]+)".*/\1/p'
}
plain() { tr -d '\n-' | tr 'A-Z' 'a-z'; }

tests=$(git ls-files 'test/*.mlir' | while read -r file; do basename "$file" .mlir | plain; echo; done)
missing=0
for pass in $(passes); do
  if ! grep -qx "$(printf %s "${pass#txs-}" | plain)" <<<"$tests"; then
    echo "pass '$pass' has no test of its name under test/" >&2
    missing=1
  fi
done
exit $missing
