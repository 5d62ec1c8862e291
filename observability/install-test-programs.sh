#!/bin/sh
# Installs what the tests in test/observability and test/end-to-end run for real: Prometheus with promtool, Alertmanager
# with amtool, openssl (Debian's packages; needs root), and the collector (Go). Does nothing for what is already there.
set -eu

folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

missing=
command -v prometheus >/dev/null && command -v promtool >/dev/null || missing="$missing prometheus"
{ command -v alertmanager >/dev/null || command -v prometheus-alertmanager >/dev/null; } && command -v amtool >/dev/null || missing="$missing prometheus-alertmanager"
command -v openssl >/dev/null || missing="$missing openssl"

if [ -n "$missing" ]; then
  # shellcheck disable=SC2086 # one word per package
  "$folder/apt-install.sh" $missing
  # 9090 and 9093 stay free after the next boot too.
  if [ -d /run/systemd/system ]; then
    for service in prometheus prometheus-alertmanager; do
      case " $missing " in *" $service "*) systemctl disable --now "$service" >&2 ;; esac
    done
  fi
fi

"$folder/collector/build.sh" >/dev/null
