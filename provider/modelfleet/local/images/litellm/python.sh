#!/bin/sh
# Debian's Python is only called python3.
exec /usr/bin/python3 "$@"
