"""One language model: parameters, first values, torch module, layers, frozen snapshot.

May import `model.kernels`, `model.compute`, `model.system`.

Adding a network (``tests/model/network/test_another_network.py`` does it with a tanh RNN), as three
modules and their rows in four tables:

1. A row of `model.config.NETWORKS`: its title, and how it compares with the LSTM.
2. ``network/NAME_form.py``: a `NetworkForm` (shapes, first values, state) and a subclass of
   `WeightSnapshot`; a row of `parameters.FORMS`. Checkpoints follow from these.
3. ``network/NAME.py``: a subclass of `CharacterNetwork` with ``forward`` and ``training_forward``;
   a row of `make.CLASSES`. Its state is a tuple of any number of tensors. Its layers have the kind
   ``torch`` alone, until they are compiled.
4. ``steppers/numpy_NAME.py``: a `Stepper` and a `CarryingBatchStepper` (one class can be both); a
   row of `network_steppers.STEPPERS`.
"""
