"""Network architectures, one module per `model.kind`.

`trainer.models.KIND.build(config, inputs, context)` maps a symbolic Keras tensor to features
`[B, F]`; the task adds its head. `building` finds the builder, also a user's own, and makes a
network of it. To add an architecture: a section in `trainer.config.models` and a module here.
"""
