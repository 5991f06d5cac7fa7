"""Tables: reading, types of columns, encoding of cells as numbers, and the network's inputs."""
