"""TFRecord shards with random access: an index of offsets, and reading at positions."""
