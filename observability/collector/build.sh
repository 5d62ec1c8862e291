#!/bin/sh
# Prints the path of a collector that can run otel-collector.yaml: OTELCOL_BIN if that is set, otherwise the slim one,
# built with Go on first use and kept outside the checkout under the hash of its manifest. With --no-build it only says
# where the binary is, and fails when there is none.
set -eu

builder=go.opentelemetry.io/collector/cmd/builder@v0.161.0

if [ -n "${OTELCOL_BIN:-}" ]; then
  if [ ! -x "$OTELCOL_BIN" ]; then
    echo "Cannot use OTELCOL_BIN: $OTELCOL_BIN is not an executable file; unset it to build the slim collector" >&2
    exit 1
  fi
  echo "$OTELCOL_BIN"
  exit 0
fi

folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
hash=$( (echo "$builder"; cat "$folder/builder.yaml") | sha256sum | cut -c 1-16)
cache=${XDG_CACHE_HOME:-${HOME:?"Cannot cache the collector: neither XDG_CACHE_HOME nor HOME is set"}/.cache}/breakwater
binary=$cache/otelcol-$hash

if [ ! -x "$binary" ]; then
  if [ "${1:-}" = --no-build ]; then
    echo "Cannot find the collector: it has not been built; run observability/collector/build.sh, or set OTELCOL_BIN" >&2
    exit 1
  fi
  if ! command -v go >/dev/null; then
    echo "Cannot build the collector: Go is not installed; install Go 1.25 or newer, or set OTELCOL_BIN to an otelcol-contrib 0.161 binary" >&2
    exit 1
  fi
  mkdir -p "$cache"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT INT TERM
  echo "Building the collector with Go: a few minutes the first time" >&2
  # The builder resolves output_path against the current folder.
  (cd "$work" && go run "$builder" --config "$folder/builder.yaml") >&2
  # A rename within one file system is atomic, so a build that runs at the same time never shows half a file.
  cp "$work/build/otelcol-breakwater" "$binary.$$"
  mv "$binary.$$" "$binary"
fi
echo "$binary"
