"""The domain: network, trainer, sampler, checkpoints, and the session that runs them.

It knows no screen. Modules that need torch say so in their first line; the others are imported in
milliseconds, and importing this package imports none of them.
"""
