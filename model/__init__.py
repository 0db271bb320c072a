"""The domain: settings, a language model, its training, its writing, its runs. No screen.

From the top floor down; each room may import those below it, which ``lint-imports`` checks:

    session, bench          who drives it: the seam to the screen and its threads; the benchmark
    training                the optimiser loop, its engines, validation, leader and follower
    evaluation              scoring a text with trained weights
    sampling, runs          drawing characters; what is on the disk (neither imports the other)
    network                 parameters, snapshot, torch module, layers
    compute, data, ngram    device, precision, torch threads; from ids to batches; counted n-grams
    distributed, kernels    the processes of one training; the compiled core
    plan                    the network that this machine can train in a given time
    system                  what the operating system gives this process
    events, commands, ...   the vocabulary: what crosses every border, torch-free
"""
