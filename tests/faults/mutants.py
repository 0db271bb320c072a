"""Small faults that some test must notice: one changed line each, and the tests that catch it."""

from __future__ import annotations

from mutation import Mutant


def _mutant(name: str, file: str, change: tuple[str, str], *tests: str) -> Mutant:
    """Returns a row of the table; the tests are below `tests/`."""
    old, new = change
    return Mutant(
        name=name, file=file, old=old, new=new, tests=tuple(f"tests/{test}" for test in tests)
    )


MUTANTS = (
    # --- what is on the disk ------------------------------------------------------------------
    _mutant(
        "a shortened file is not synced",
        "model/runs/storage.py",
        ("        file.truncate(end)\n        sync_file(file, path)", "        file.truncate(end)"),
        "model/runs/test_storage.py",
    ),
    _mutant(
        "a written file is not synced",
        "model/runs/storage.py",
        (
            "                sync_file(file, path)\n            put",
            "                file.flush()\n            put",
        ),
        "model/runs/test_storage.py",
    ),
    _mutant(
        "the folder is synced before the rename",
        "model/runs/storage.py",
        (
            "put_in_place(temporary, path)\n",
            "sync_folder(path.parent)\n            put_in_place(temporary, path); return\n",
        ),
        "model/runs/test_storage.py",
    ),
    _mutant(
        "a file is written where it shall be, without a rename",
        "model/runs/storage.py",
        (
            "            put_in_place(temporary, path)\n",
            "            path.write_bytes(data)\n            discard_temporary(temporary)\n",
        ),
        "model/runs/test_storage.py",
    ),
    _mutant(
        "a new folder's parent is not synced",
        "corpus/files/atomic_file.py",
        ("        sync_folder(each.parent)", "        sync_folder(each)"),
        "corpus/files/test_atomic_file.py",
    ),
    _mutant(
        "a link is followed",
        "corpus/files/regular_file.py",
        ('    getattr(os, "O_NOFOLLOW", 0)\n    | getattr', "    getattr"),
        "faults/test_links.py",
    ),
    _mutant(
        "a temporary that is there is written over",
        "corpus/files/atomic_file.py",
        ("os.O_CREAT | os.O_EXCL | SAFE", "os.O_CREAT | SAFE"),
        "faults/test_links.py",
    ),
    _mutant(
        "what has another name is deleted",
        "corpus/files/removal.py",
        ("if names.fullmatch(entry.name) and entry", "if entry"),
        "corpus/cache/test_encoded_cache.py",
    ),
    _mutant(
        "a look locks as a writer does",
        "model/runs/lock.py",
        ("return not _try(file, fcntl.LOCK_SH)", "return not _try(file, fcntl.LOCK_EX)"),
        "faults/test_locks.py::test_two_looks_at_once_see_no_writer",
    ),
    _mutant(
        "a line without an end is read",
        "corpus/files/json_reader.py",
        ("if length <= MAX_LINE_BYTES else b", "if length >= 0 else b"),
        "faults/test_hostile_records.py::test_lines_are_the_same_whatever_a_look_reads_at_once",
    ),
    _mutant(
        "an object may be of any size",
        "corpus/files/json_reader.py",
        ("if size > MAX_OBJECT_BYTES:", "if size < 0:"),
        "faults/test_hostile_records.py",
    ),
    _mutant(
        "a deeply nested line is an error",
        "corpus/files/json_reader.py",
        ("suppress(ValueError, RecursionError)", "suppress(ValueError)"),
        "faults/test_hostile_records.py",
    ),
    # --- checkpoints --------------------------------------------------------------------------
    _mutant(
        "a checkpoint's digest is not compared",
        "model/runs/checkpoint_file.py",
        ("tensors) != self._header.get(DIGEST_KEY):", "tensors) is None:"),
        "model/runs/test_checkpoint_file.py",
    ),
    _mutant(
        "averaged weights are not checked",
        "model/runs/checkpoint_form.py",
        ("if self._training.averaging > 0:", "if False:"),
        "model/runs/test_checkpoint_file.py",
    ),
    _mutant(
        "shapes are not compared",
        "model/runs/checkpoint_form.py",
        (
            "if listing[name] != group.tensors[name]:",
            "if listing[name].type != group.tensors[name].type:",
        ),
        "model/runs/test_checkpoint_file.py",
        "faults/test_forged_checkpoints.py",
    ),
    _mutant(
        "the optimiser's state may lack tensors",
        "model/runs/checkpoint_form.py",
        ("(group.required or len(missing) < len(group.tensors))", "group.required"),
        "model/runs/test_checkpoint_file.py",
        "faults/test_forged_checkpoints.py",
    ),
    _mutant(
        "a random state is taken as it is",
        "model/runs/checkpoint_form.py",
        ("if seeded != 1 or not fits or any(flag > 1 for flag in flags):", "if seeded != 1:"),
        "model/runs/test_checkpoint_form.py",
    ),
    _mutant(
        "a number that is none is let in",
        "model/runs/checkpoint_form.py",
        ("if not np.isfinite(tensor).all():", "if np.isinf(tensor).any():"),
        "model/runs/test_checkpoint_file.py",
        "faults/test_forged_checkpoints.py",
    ),
    _mutant(
        "resuming forgets the optimiser's moments",
        "model/training/weights.py",
        ("joined(parts).to(self._device)", "joined(parts).to(self._device) * (slot == 'step')"),
        "model/training/test_exact_resume.py",
    ),
    _mutant(
        "resuming forgets the random state",
        "model/training/trainer.py",
        ("        torch.set_rng_state(torch.from_numpy(tensors[CPU_RANDOM].copy()))\n", ""),
        "model/training/test_exact_resume.py",
    ),
    _mutant(
        "resuming forgets the carried state",
        "model/training/trainer.py",
        ("if same_text and state:", "if not same_text:"),
        "model/training/test_exact_resume.py",
    ),
    _mutant(
        "resuming forgets the place in the text",
        "model/data/batches.py",
        (
            'self.epoch, self._offset, self._index = position["epoch"], offset, index',
            'self.epoch, self._offset, self._index = position["epoch"], offset, 0',
        ),
        "model/training/test_exact_resume.py",
        "model/data/test_batches.py",
    ),
    # --- training -----------------------------------------------------------------------------
    _mutant(
        "the guard never rolls back",
        "model/training/divergence_guard.py",
        ("if self._in_a_row < self.SKIPS_BEFORE_ROLL_BACK:", "if self._in_a_row:"),
        "model/training/test_divergence_guard.py",
    ),
    _mutant(
        "the guard takes a gradient that is not finite",
        "model/training/divergence_guard.py",
        ("(math.isfinite(loss) and math.isfinite(gradient_norm))", "math.isfinite(loss)"),
        "model/training/test_divergence_guard.py",
    ),
    _mutant(
        "the guard never halves the rate",
        "model/training/divergence_guard.py",
        ("self.learning_rate_scale /= 2", "self.learning_rate_scale /= 1"),
        "model/training/test_divergence_guard.py",
    ),
    _mutant(
        "the warm-up is a step late",
        "model/training/schedule.py",
        ("warm = (step - self.first_step + 1) /", "warm = (step - self.first_step) /"),
        "model/training/test_schedule.py",
    ),
    _mutant(
        "the rate falls to nothing",
        "model/training/schedule.py",
        ("(FINAL_FRACTION + (1 - FINAL_FRACTION) * cosine)", "cosine"),
        "model/training/test_schedule.py",
    ),
    _mutant(
        "a student begins with the weights that its teacher began with",
        "model/training/trainer.py",
        ("self._training.seed ^ 1", "self._training.seed"),
        "model/training/test_student.py",
    ),
    _mutant(
        "a student learns what its teacher predicts elsewhere",
        "model/training/device_batches.py",
        (
            "steps = np.arange(batch.sequence)[:, None]",
            "steps = np.arange(batch.sequence)[::-1, None]",
        ),
        "model/training/test_student.py",
    ),
    _mutant(
        "a student learns from its teacher alone",
        "model/evaluation/soft_targets.py",
        ("scatter_add_(1, following, hard)", "mul_(2)"),
        "model/evaluation/test_soft_targets.py",
    ),
    _mutant(
        "a teacher reads without dropout",
        "model/evaluation/soft_targets.py",
        ("streams_of(state, streams), own)", "streams_of(state, streams), None)"),
        "model/evaluation/test_soft_targets.py",
    ),
    _mutant(
        "each reading of a teacher has the same masks",
        "model/evaluation/soft_targets.py",
        ("seed=reading * len(ids) + first", "seed=first"),
        "model/evaluation/test_soft_targets.py",
    ),
    _mutant(
        "a teacher reads the whole text with the same masks",
        "model/evaluation/soft_targets.py",
        ("seed=reading * len(ids) + first", "seed=reading * len(ids)"),
        "model/evaluation/test_soft_targets.py",
    ),
    _mutant(
        "a student without a step replaces its teacher's checkpoint",
        "model/training/training_run.py",
        ("if trainer.schedule.is_new_student(trainer.step_count):", "if False:"),
        "model/training/test_student.py",
    ),
    _mutant(
        "the rate is that of the step after",
        "model/training/trainer.py",
        ("learning_rate(self.step_count, seconds)", "learning_rate(self.step_count + 1, seconds)"),
        "model/training/test_trainer.py",
    ),
    _mutant(
        "biases decay",
        "model/training/optimiser.py",
        ("(0.0, list(biases))", "(weight_decay, list(biases))"),
        "model/training/test_optimiser.py",
    ),
    _mutant(
        "gradients are not clipped",
        "model/training/trainer.py",
        ('limit = self._training.clip or float("inf")', 'limit = float("inf")'),
        "model/training/test_trainer.py",
    ),
    _mutant(
        "a new epoch begins with the old state",
        "model/training/trainer.py",
        ("state = None if batch.starts_epoch else self._state", "state = self._state"),
        "model/training/test_trainer.py",
    ),
    _mutant(
        "going back keeps the carried state",
        "model/training/trainer.py",
        ("        if verdict is not Verdict.APPLY:\n            self._state = None\n", ""),
        "model/training/test_trainer.py",
    ),
    _mutant(
        "a target is the character itself",
        "model/data/batches.py",
        (
            "self._block[-1] if self.last_only else self._block[1:]",
            "self._block[-1] if self.last_only else self._block[:-1]",
        ),
        "model/data/test_batches.py",
    ),
    _mutant(
        "windows begin where others end",
        "model/data/batches.py",
        ("starts=chosen * self._stride,", "starts=chosen,"),
        "model/data/test_batches.py",
    ),
    _mutant(
        "several threads lose a part of the gradient",
        "model/training/gradients.py",
        ("        for part in others:", "        for part in others[1:]:"),
        "model/training/test_gradients.py",
    ),
    _mutant(
        "a thread leaves out every other block of a gradient",
        "model/kernels/sequence.py",
        ("        first = (claim(arrivals, rank) - 1)", "        first += claim(arrivals, rank)"),
        "model/kernels/test_sequence.py",
    ),
    _mutant(
        "the slope of the input gate is wrong",
        "model/kernels/lstm_cell.py",
        ("builder.fsub(i, times(i, i))", "builder.fadd(i, times(i, i))"),
        "model/network/test_layers.py",
    ),
    _mutant(
        "LLVM may order sums in its own way",
        "model/kernels/jit.py",
        ('"error_model": "numpy"}', '"error_model": "numpy", "fastmath": True}'),
        "model/kernels/test_exact_bits.py",
    ),
    _mutant(
        "bfloat16 is cut off, not rounded",
        "model/kernels/dtypes.py",
        ("builder.lshr(total, constant(16))", "builder.lshr(bits, constant(16))"),
        "model/kernels/test_lstm_cell.py",
    ),
    _mutant(
        "bfloat16 is rounded up in the middle",
        "model/kernels/dtypes.py",
        ("builder.add(odd, constant(0x7FFF))", "constant(0x8000)"),
        "model/kernels/test_lstm_cell.py",
    ),
    _mutant(
        "what is kept is not scaled up",
        "model/network/dropout.py",
        ("np.float32(2**16 / (2**16 - dropped))", "np.float32(1)"),
        "model/training/test_gradients.py",
    ),
    _mutant(
        "all streams drop what the first ones do",
        "model/network/dropout.py",
        (
            "None if mask is None else mask[streams] for",
            "None if mask is None else mask[: streams.stop - streams.start] for",
        ),
        "model/training/test_gradients.py",
    ),
    _mutant(
        "a step that is skipped counts",
        "model/training/optimiser.py",
        ("[found_inf] * len(counts)", "[0 * found_inf] * len(counts)"),
        "model/training/test_optimiser.py",
    ),
    _mutant(
        "the average begins as slowly as it ends",
        "model/training/weights.py",
        ("min(self._decay, (1 + step) / (10 + step))", "self._decay"),
        "model/training/test_ema.py",
    ),
    _mutant(
        "validation begins cold in every stream",
        "model/evaluation/scoring.py",
        ("primer = min(PRIMER, starts[1])", "primer = 0"),
        "model/evaluation/test_scoring.py",
    ),
    _mutant(
        "the worse of two networks is the best",
        "model/training/validation.py",
        ("validations[1].nats < validations[0].nats", "validations[1].nats > validations[0].nats"),
        "model/training/test_validation.py",
    ),
    _mutant(
        "the forget gate begins closed",
        "model/network/lstm_form.py",
        (
            "value[self.model.hidden : 2 * self.model.hidden] = 1.0",
            "value[: self.model.hidden] = 1.0",
        ),
        "model/network/test_lstm.py",
    ),
    # --- writing ------------------------------------------------------------------------------
    _mutant(
        "noise one word late",
        "model/sampling/noise.py",
        (
            "words = number * BLOCK * self._width // 2\n",
            "words = number * BLOCK * self._width // 2 + 1\n",
        ),
        "model/sampling/test_noise.py",
    ),
    _mutant(
        "a noise row off by one",
        "model/sampling/noise.py",
        ("= self._block[place]", "= self._block[(place + 1) % BLOCK]"),
        "model/sampling/test_noise.py",
    ),
    _mutant(
        "a character takes the next one's noise",
        "model/sampling/stream.py",
        ("self._noise.row(self._written)", "self._noise.row(self._written + 1)"),
        "model/sampling/test_stream.py",
    ),
    _mutant(
        "texts side by side take the next character's noise",
        "model/sampling/sampler.py",
        ("= self._noise_block[place]", "= self._noise_block[place - 1]"),
        "model/kernels/test_decode.py::test_each_character_is_drawn_with_the_noise_of_its_own_place",
    ),
    _mutant(
        "compiled top-k keeps one more",
        "model/kernels/truncation.py",
        ("if 0 < top_k <= before or", "if 0 < top_k < before or"),
        "model/sampling/test_sampler.py::test_every_rule_draws_the_same_in_numpy_and_compiled",
    ),
    _mutant(
        "compiled typical sampling measures from the wrong end",
        "model/kernels/truncation.py",
        ("np.abs(surprisal - entropy)", "-np.abs(surprisal - entropy)"),
        "model/sampling/test_sampler.py::test_every_rule_draws_the_same_in_numpy_and_compiled",
    ),
    _mutant(
        "a product's columns are not padded",
        "model/steppers/numpy_lstm.py",
        ("columns = -(-streams // COLUMNS) * COLUMNS", "columns = streams"),
        "model/sampling/test_sampler.py::test_numpys_bits_are_the_same_beside_any_others",
    ),
    _mutant(
        "compiled code takes the noise of the block before",
        "model/sampling/compiled_lstm.py",
        (
            "np.uint64(self._noises[stream].start(number))",
            "np.uint64(self._noises[stream].start(number - 1))",
        ),
        "model/kernels/test_decode.py::test_each_character_is_drawn_with_the_noise_of_its_own_place",
    ),
    _mutant(
        "each rank packs the units of all",
        "model/sampling/compiled_lstm.py",
        ("first, last = unit_range(width, rank, size)", "first, last = unit_range(width, rank, 1)"),
        "model/kernels/test_decode.py::test_every_number_of_threads_writes_the_same_texts",
    ),
    _mutant(
        "the name of an engine of version 0.2 is not translated",
        "model/compute/engine.py",
        ('"packed": "sequence"', '"packed": "torch"'),
        "model/compute/test_engine.py",
    ),
    _mutant(
        "the temperature is used twice",
        "model/sampling/distribution.py",
        ("np.float32(1 / sampling.temperature)", "np.float32(1 / sampling.temperature**2)"),
        "model/sampling/test_distribution.py",
    ),
    _mutant(
        "a forbidden letter is only rare",
        "model/sampling/distribution.py",
        ("logits, np.float32(-np.inf))", "logits, np.float32(-3))"),
        "model/sampling/test_constrained.py",
    ),
    _mutant(
        "a line is judged without what was written of it",
        "model/sampling/line_writer.py",
        ("lines = [self._line + ", "lines = ["),
        "model/sampling/test_constrained.py",
    ),
    _mutant(
        "top-k keeps one more",
        "model/sampling/distribution.py",
        ("kept &= rank < sampling.top_k", "kept &= rank <= sampling.top_k"),
        "model/sampling/test_distribution.py",
    ),
    _mutant(
        "top-p keeps one less",
        "model/sampling/distribution.py",
        ("count: npt.NDArray[np.intp] = 1 + (held", "count: npt.NDArray[np.intp] = 0 + (held"),
        "model/sampling/test_distribution.py",
    ),
    _mutant(
        "min-p is a share of everything",
        "model/sampling/distribution.py",
        ("sampling.min_p * probabilities.max(axis=-1, keepdims=True)", "sampling.min_p"),
        "model/sampling/test_distribution.py",
    ),
    _mutant(
        "typical characters are the likeliest",
        "model/sampling/distribution.py",
        ("np.abs(surprisal - mean)", "surprisal"),
        "model/sampling/test_distribution.py",
    ),
    _mutant(
        "the second layer does without its bias",
        "model/steppers/numpy_lstm.py",
        (
            "if layer.bias is not None:\n                gates += layer.bias",
            "if layer.bias is not None:\n                gates += 0",
        ),
        "model/steppers/test_numpy_lstm.py",
    ),
    _mutant(
        "a stream reads a symbol that its model lacks",
        "model/steppers/mixed_stepper.py",
        ("if lacking.any() else []", "if False else []"),
        "model/steppers/test_mixture.py",
    ),
    _mutant(
        "a new mix waits for one more character",
        "model/sampling/stream.py",
        (
            "replace(self._snapshot, mix=mix)\n        self._logits = self._stepper.prime(())",
            "replace(self._snapshot, mix=mix)",
        ),
        "model/steppers/test_mixture.py",
    ),
    # --- texts --------------------------------------------------------------------------------
    _mutant(
        "ids follow the order of appearance",
        "corpus/vocabulary.py",
        ("cls(tuple(sorted(set(symbols))))", "cls(tuple(dict.fromkeys(symbols)))"),
        "corpus/test_vocabulary.py",
    ),
    _mutant(
        "a character behind the last symbol is the first",
        "corpus/vocabulary.py",
        (
            "unknown = np.flatnonzero(self._codes[places] != codes)",
            "unknown = np.flatnonzero(self._codes[places] < codes)",
        ),
        "corpus/test_vocabulary.py",
    ),
    _mutant(
        "the held-out part is learnt, too",
        "corpus/split.py",
        ("train=ids[:border]", "train=ids"),
        "corpus/test_split.py",
    ),
    _mutant(
        "a prompt with an unknown character stays decomposed",
        "corpus/prompt.py",
        ("return min(text, composed, key=", "return min(text, text, key="),
        "corpus/test_prompt.py",
    ),
    _mutant(
        "a prompt keeps what the model does not know",
        "corpus/prompt.py",
        ("if candidate and all(part in vocabulary for part in candidate):", "if candidate:"),
        "corpus/test_prompt.py",
    ),
    # --- screen and terminal ------------------------------------------------------------------
    _mutant(
        "an escape reaches the terminal",
        "tui/sanitise.py",
        ("if code < 0x20:", "if code < 0x1B:"),
        "tui/test_sanitise.py",
    ),
    _mutant(
        "bidi controls reach the terminal",
        "tui/sanitise.py",
        ('{"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}', '{"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}'),
        "tui/test_sanitise.py",
    ),
    _mutant(
        "a stack of marks grows",
        "tui/sanitise.py",
        ("        if height <= MARKS_PER_BASE:", "        if height <= MARKS_PER_BASE + 1:"),
        "tui/test_sanitise.py",
    ),
    _mutant(
        "flags are drawn as flags",
        "tui/clusters.py",
        ("    **dict(zip(_REGIONS, _CIRCLED, strict=True)),\n", ""),
        "tui/test_clusters.py",
    ),
    _mutant(
        "a conjunct is two clusters",
        "tui/clusters.py",
        ('case "letter" if len(cluster) > 1 and', 'case "letter" if len(cluster) > 9 and'),
        "tui/test_clusters.py",
    ),
    _mutant(
        "a page holds the text as markup",
        "tui/export/inked_page.py",
        ("text = escape(replace_unprintable(", "text = str(replace_unprintable("),
        "tui/export/test_inked_text.py",
    ),
    _mutant(
        "what follows a disputed cluster is not placed",
        "tui/terminal/placed_update.py",
        ("                if is_disputed(cluster):", "                if not cluster:"),
        "tui/terminal/test_clusters_on_the_wire.py",
    ),
    _mutant(
        "a word that does not fit stays on its line",
        "tui/view/line_wrapper.py",
        (
            "if self._used + cells > self.width and self._word:",
            "if self._used + cells > self.width and not self._word:",
        ),
        "tui/view/test_transcript.py",
    ),
    _mutant(
        "a line may be one cell too wide",
        "tui/view/line_wrapper.py",
        (
            "_word_start())\n        if self._used + cells > self.width:\n",
            "_word_start())\n        if self._used > self.width:\n",
        ),
        "tui/view/test_transcript.py",
    ),
    _mutant(
        "the queue of events grows",
        "model/session/event_queue.py",
        (
            "if len(self._events) >= self._capacity:",
            "if len(self._events) < 0:",
        ),
        "model/session/test_event_queue.py",
    ),
    _mutant(
        "the queue forgets what is no step",
        "model/session/event_queue.py",
        ("            else:\n                kept.append(event)\n", ""),
        "model/session/test_event_queue.py",
    ),
    _mutant(
        "a checkpoint's trouble has a text's status",
        "tui/console/exit_status.py",
        ("(CheckpointError, CHECKPOINT)", "(CheckpointError, CORPUS)"),
        "tui/bad_input/test_bad_options.py::test_a_run_that_is_not_there_is_status_4",
    ),
    _mutant(
        "a screen answers twice",
        "tui/screens/dialog.py",
        ("if self._has_answered or self.app.screen is not self:", "if False:"),
        "tui/app/test_keys_together.py",
    ),
    _mutant(
        "a printed name is not quoted",
        "model/runs/printed_command.py",
        ("return shlex.quote(word)", "return word"),
        "model/runs/test_printed_commands.py",
    ),
    _mutant(
        "a printed command does not name the folder of the runs",
        "model/runs/printed_command.py",
        (
            "checkpoints is not None and checkpoints != _usual_root()",
            "checkpoints == _usual_root()",
        ),
        "model/runs/test_printed_commands.py",
    ),
    _mutant(
        "what an encoding lacks ends a command",
        "tui/console/output.py",
        ('stream.reconfigure(errors="backslashreplace")', 'stream.reconfigure(errors="strict")'),
        "tui/cli/test_encodings.py",
    ),
    _mutant(
        "JSON is never ASCII",
        "tui/console/output.py",
        ("ascii_only=not speaks_utf8(stream)", "ascii_only=False"),
        "tui/cli/test_encodings.py::test_json_is_ascii_where_the_output_is_not_utf_8",
    ),
    # --- serve --------------------------------------------------------------------------------
    _mutant(
        "an origin is compared without its port",
        "tui/web/admission.py",
        (
            "return origin.lower() in {known.lower() for known in origins}",
            "return urlsplit(origin).hostname in {urlsplit(known).hostname for known in origins}",
        ),
        "terminal/test_app_in_a_browser.py",
        "tui/web/test_admission.py",
    ),
    _mutant(
        "any token opens the page",
        "tui/web/admission.py",
        ("return hmac.compare_digest(", "return bool(token) or hmac.compare_digest("),
        "tui/web/test_admission.py",
    ),
    _mutant(
        "any name leads to the server",
        "tui/web/admission.py",
        ("if not self._has_name(visit):", "if not visit.host:"),
        "tui/web/test_admission.py",
    ),
    # --- the machine --------------------------------------------------------------------------
    _mutant(
        "quotas of version 1 are not looked at",
        "model/system/cores.py",
        ('folder / "cpu.cfs_quota_us"', 'folder / "cpu.quota"'),
        "model/system/test_cores.py",
    ),
    _mutant(
        "only the group itself has a limit",
        "model/system/cgroup.py",
        (
            "[folder, *(above for above in folder.parents if above.is_relative_to(mount.point))]",
            "[folder]",
        ),
        "model/system/test_cores.py",
    ),
    _mutant(
        "half a core is a core",
        "model/system/cores.py",
        ("return max(1, int(min(", "return max(1, round(0.1 + min("),
        "model/system/test_cores.py",
    ),
    _mutant(
        "a limit on memory is not looked at",
        "model/system/memory.py",
        ('group_folders("memory", system)', 'group_folders("hugetlb", system)'),
        "model/system/test_memory.py",
    ),
    _mutant(
        "a refusal of the system is a defect",
        "model/system/refusal.py",
        ("if isinstance(seen, MemoryError) or number == errno.ENOMEM:", "if False:"),
        "model/system/test_memory.py",
        "faults/test_little_memory.py",
    ),
    _mutant(
        "compiled code is loaded as it is",
        "model/kernels/disk_cache.py",
        (
            "hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:",
            "hashlib.sha256(content[_DIGEST:]).digest() is None:",
        ),
        "model/kernels/test_disk_cache.py",
    ),
    _mutant(
        "another account's compiled code is loaded",
        "model/kernels/disk_cache.py",
        (
            "if status.st_uid != os.geteuid() or status.st_mode & _OTHERS:",
            "if status.st_mode & 0o022:",
        ),
        "model/kernels/test_disk_cache.py",
    ),
    _mutant(
        "stale compiled code is loaded",
        "model/kernels/disk_cache.py",
        ("versions, code, self._stamp()", "versions, code"),
        "model/kernels/test_disk_cache.py",
    ),
    _mutant(
        "a failure to compile ends the text",
        "model/system/compiled_code.py",
        ("    except Exception as error:", "    except OSError as error:"),
        "model/system/test_compiled_code.py::test_texts_go_on_from_the_same_state_c24",
    ),
    _mutant(
        "an import of torch that died is remembered as a success",
        "model/system/torch_import.py",
        ("    if status == 0:\n", "    if status <= 0:\n"),
        "model/system/test_torch_import.py",
    ),
    _mutant(
        "another processor takes over what this one remembers",
        "model/system/torch_import.py",
        ("os.uname().machine, processor_kind()", "os.uname().machine"),
        "model/system/test_torch_import.py",
    ),
    _mutant(
        "MPS is trusted for its loss alone",
        "model/compute/mps_choice.py",
        ("found.is_close_to(expected)", "math.isclose(found.loss, expected.loss, rel_tol=0.001)"),
        "model/compute/test_mps_choice.py",
    ),
    # --- the page that is given away ----------------------------------------------------------
    _mutant(
        "a symbol may end the script of a page",
        "tui/page/page.py",
        (r'.replace("<", "\\u003c")', ""),
        "tui/page/test_page.py",
    ),
    _mutant(
        "a page holds the newest weights, not the best",
        "tui/page/saved_page.py",
        ("checkpoints.load_best(", "checkpoints.load_latest("),
        "tui/page/test_page.py",
    ),
    # --- the duel -----------------------------------------------------------------------------
    _mutant(
        "counts of guesses that rise are not smoothed",
        "model/duel/bounds.py",
        ("while blocks and blocks[-1].mean <= joined.mean:", "while False:"),
        "model/duel/test_bounds.py",
    ),
    _mutant(
        "a letter that is given up counts as found at the next guess",
        "model/duel/game.py",
        ("self._solve(len(tried) + 1 + left.index(answer), ", "self._solve(len(tried) + 1, "),
        "model/duel/test_game.py",
    ),
    _mutant(
        "the model reads more of a passage than its window",
        "model/session/duel_thread.py",
        ("before if window is None else before[-window:]", "before"),
        "model/session/test_duel_thread.py",
    ),
    _mutant(
        "a score is kept with a run that took the name of another",
        "model/session/duel_scores.py",
        ("self._identity is None or self._folder.identity() != self._identity", "False"),
        "model/session/test_duel_thread.py",
    ),
    # --- serve --------------------------------------------------------------------------------
    _mutant(
        "a page's size has no bound",
        "tui/web/page_message.py",
        ("    columns, rows = within_reason(columns, rows)\n", ""),
        "tui/web/test_page_message.py",
    ),
    _mutant(
        "a spectator may do anything",
        "tui/config/acting_keys.py",
        ('return not read_only or f"{node}.{action}" in SPECTATORS_ACTIONS', "return True"),
        "tui/app/test_spectators.py",
    ),
    _mutant(
        "a child looks for modules in the working directory",
        "model/system/child_process.py",
        ('"-P", "-m", module', '"-m", module'),
        "model/system/test_child_process.py",
    ),
)
