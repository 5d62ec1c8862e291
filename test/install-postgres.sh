#!/bin/sh
# Installs PostgreSQL (Debian's package; needs root) for the tests in test/store, which start servers of their own. Does
# nothing when it is already there.
set -eu

for initdb in /usr/lib/postgresql/*/bin/initdb; do
  [ -x "$initdb" ] && exit 0
done

# Debian makes a cluster and starts it as soon as the package is installed; 5432 stays free.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' INT TERM
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
settings=/etc/postgresql-common/createcluster.conf
if [ ! -e "$settings" ]; then
  mkdir -p "${settings%/*}"
  printf 'create_main_cluster = false\n' >"$settings"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >&2
apt-get install -qq -y --no-install-recommends -o Dpkg::Options::=--force-confold postgresql >&2
# Nor after the next boot.
if [ -d /run/systemd/system ]; then systemctl disable --now postgresql >&2; fi
