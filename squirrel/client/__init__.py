"""The Python SDK over the REST API, sync and async."""
