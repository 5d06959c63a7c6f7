"""Faults on the way to a real API server, and what becomes of services that meet them."""
