"""The web page's source, built into static files that the gateway serves; no Python but this docstring."""
