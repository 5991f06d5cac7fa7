"""Networks from configuration: fresh, unbuilt Keras layers that any task can stack.

`network.build_layers` gives a trunk (a classifier's or a Q network's) and
`network.build_network` a trunk with a linear head. To add an architecture: a section in
`trainer.config.sections`, a builder registered here, a row in README's table.
"""
