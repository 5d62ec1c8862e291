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
  # Debian starts a daemon as soon as it is installed; the tests start their own, and 9090 and 9093 stay free.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  # shellcheck disable=SC2086 # one word per package
  apt-get install -qq -y --no-install-recommends $missing >&2
  # Nor after the next boot.
  if [ -d /run/systemd/system ]; then
    for service in prometheus prometheus-alertmanager; do
      case " $missing " in *" $service "*) systemctl disable --now "$service" >&2 ;; esac
    done
  fi
fi

"$folder/collector/build.sh" >/dev/null
