"""The interface between screen and model: commands go in, events come out, threads do the work.

May import everything below it except `model.bench`.
"""
