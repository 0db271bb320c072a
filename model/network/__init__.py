"""One language model: parameters, first values, torch module, layers, frozen snapshot.

May import `model.kernels`, `model.compute`, `model.system`.

Adding a network (``tests/model/network/test_another_network.py`` does it with a tanh RNN):

1. Choose it by a field of `ModelConfig`, which joins `ADDED_LATER` so that old checkpoints load.
2. Write ``network/NAME.py``: a subclass of `CharacterNetwork` with ``forward`` and
   ``training_forward``. Its state is a tuple of any number of tensors.
3. Add a branch to each function of `model.network.parameters`: ``parameter_shapes``,
   ``initial_parameters``, ``state_shapes``, ``recurrent_shape`` and ``weight_snapshot``, which
   returns a subclass of `WeightSnapshot`. Checkpoints follow from these.
4. Add a branch to `make_network`.
5. Write ``sampling/numpy_NAME.py``: a `Stepper` and a `BatchStepper` (one class can be both). Pass
   it as ``make_stepper`` to `CharacterStream`, `Sampler` and `Race`, and choose it in
   `stepper_beside_training` and `activations_of`. Callers that take the LSTM's by default are
   `model.session.sampler_thread` and ``generate``.
6. Let `possible_engines` offer it the layer kind ``torch`` alone, until it is compiled.
"""
