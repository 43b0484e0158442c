"""Data the project uses: a registry of real sets, a loader that finds them, synthetic stand-ins and land outlines.

The loader knows where bytes come from and nothing of what they mean; reading a format is the work of `engine.ingest`.
"""
