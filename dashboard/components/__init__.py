"""Param-based components, one concern each; every one works alone in a notebook."""
