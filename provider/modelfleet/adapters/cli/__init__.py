"""The command line, `modelfleet`."""
