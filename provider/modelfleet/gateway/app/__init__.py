"""The application that runs in the pods of a ModelProxy: it wraps LiteLLM's, and stands alone.

It imports nothing else of modelfleet, itself only relatively, and otherwise what LiteLLM's image
has: its files are mounted into the pods under another name.
"""
