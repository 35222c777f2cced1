#!/usr/bin/env bash
# Fails on a pass without a test of the same name: pass `txs-foo-bar` needs a
# FooBar.mlir or foo-bar.mlir somewhere under test/. Every source file of passes/
# needs one as well, in the folder of test/passes that mirrors its own (or a .test,
# where the input is not IR): tiling/kernels/FooBar.cpp needs
# test/passes/tiling/kernels/foo-bar.mlir.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

passes() {
  git ls-files '*.td' | xargs sed -nE 's/^def [A-Za-z0-9]+ *: *Pass<"([^"]+)".*/\1/p'
  git ls-files 'passes/*.cpp' 'codegen/*.cpp' |
    xargs sed -nE 's/.*getArgument\(\) const override \{ return "([^"]+)".*/\1/p'
}
# Lower case, without hyphens and extension, one path a line.
plain() { sed -E 's/\.[a-z]+$//; s/-//g' | tr 'A-Z' 'a-z'; }

tests=$(git ls-files 'test/*.mlir' 'test/*.test' | plain)
names=$(sed 's|.*/||' <<<"$tests")
missing=0
for pass in $(passes); do
  if ! grep -qx "$(plain <<<"${pass#txs-}")" <<<"$names"; then
    echo "pass '$pass' has no test of its name under test/" >&2
    missing=1
  fi
done
for file in $(git ls-files 'passes/*.cpp'); do
  if ! grep -qx "test/$(plain <<<"$file")" <<<"$tests"; then
    echo "$file has no test of its name: expected test/$(dirname "$file")/$(basename "$file" .cpp |
      sed -E 's/([a-z])([A-Z])/\1-\2/g' | tr 'A-Z' 'a-z').mlir" >&2
    missing=1
  fi
done
exit $missing
