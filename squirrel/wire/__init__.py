"""What crosses a process boundary: the topic catalogue (read from `topics/`), codecs, headers, the partitioner."""
