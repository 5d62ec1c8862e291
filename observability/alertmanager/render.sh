#!/bin/sh
# Prints alertmanager.yml with the address of the receiver taken from ALERT_WEBHOOK_URL. The address may be a secret:
# keep the printed file to yourself (umask 077).
set -eu

: "${ALERT_WEBHOOK_URL:?Cannot render alertmanager.yml: ALERT_WEBHOOK_URL is not set; give it the address that takes the alerts}"
case $ALERT_WEBHOOK_URL in
  http://* | https://*) ;;
  *) echo "Cannot render alertmanager.yml: ALERT_WEBHOOK_URL is not an http:// or https:// address" >&2; exit 1 ;;
esac
case $ALERT_WEBHOOK_URL in
  *[\"\\[:space:][:cntrl:]]*) echo "Cannot render alertmanager.yml: ALERT_WEBHOOK_URL has a blank, a quote or a backslash in it; write it as %20, %22 or %5C" >&2; exit 1 ;;
esac

# Not with sed, to which & and | in an address mean something.
export ALERT_WEBHOOK_URL
awk '/^ *- url: / { sub(/url: .*/, ""); print $0 "url: \"" ENVIRON["ALERT_WEBHOOK_URL"] "\""; next } { print }' \
  "$(dirname -- "$0")/alertmanager.yml"
