#!/bin/sh
# Writes a line to the system's log for each change of the registry.
set -eu
message="$MOORAGE_EVENT on $MOORAGE_SERVER for $MOORAGE_DOMAIN (run $MOORAGE_RUN)"
logger -t moorage-hook "$message"
echo "told the team: $message"
