"""What runs on a rented machine.

`startup` is the startup script of a VM. It gets the other modules of this folder as metadata, and
runs `attempt` in a process of its own. In a container of Vertex AI, `attempt` is the command. The
modules use the standard library only, because they work before anything is installed. Nothing
here depends on the computer that made the submission.
"""
