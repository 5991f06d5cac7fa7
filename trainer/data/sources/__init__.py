"""Where examples come from; one module per source, found by `data.kind`."""
