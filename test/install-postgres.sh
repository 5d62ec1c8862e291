#!/bin/sh
# Installs PostgreSQL (Debian's package; needs root) for the tests in test/store, which start servers of their own. Does
# nothing when it is already there.
set -eu

for initdb in /usr/lib/postgresql/*/bin/initdb; do
  [ -x "$initdb" ] && exit 0
done

# Debian makes a cluster as soon as the package is installed, unless it is told not to; 5432 stays free.
settings=/etc/postgresql-common/createcluster.conf
if [ ! -e "$settings" ]; then
  mkdir -p "${settings%/*}"
  printf 'create_main_cluster = false\n' >"$settings"
fi
"$(dirname -- "$0")/../observability/apt-install.sh" postgresql
# Free after the next boot too.
if [ -d /run/systemd/system ]; then systemctl disable --now postgresql >&2; fi
