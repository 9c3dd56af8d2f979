#!/bin/sh
# Tells how it was started: one line per argument, parameter file content, PROBE_ variable, folder.
previous=
for argument; do
    if [ "$previous" = --params-file ]; then
        sed 's/^/parameters: /' "$argument"
    else
        echo "argument: <$argument>"
    fi
    previous=$argument
done
env | grep '^PROBE_' | sort | sed 's/^/environment: /'
[ -z "$PROBE_FOLDER" ] || echo "folder: $(pwd)"
