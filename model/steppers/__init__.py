"""Networks that read a text character by character: the state they carry, and the logits. NumPy.

A stepper has weights and a state, of one text or of many side by side; it draws nothing. May import
`model.network` and `model.compute`. Reads no files and starts no threads.
"""
