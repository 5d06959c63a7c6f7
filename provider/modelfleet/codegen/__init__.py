"""What is written from the spec models: the argument types of programs and the field reference.

A tool for those who change modelfleet, not used while it runs: ``python -m modelfleet.codegen``
writes the files, ``--check`` says whether they are fresh.
"""
