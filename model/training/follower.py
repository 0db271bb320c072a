"""The followers' side of a training by several processes. PyTorch.

A follower makes the leader's steps on other streams. It receives the run as a checkpoint and reads
the text itself. Then it carries out the leader's instructions until the training ends. It writes
no files and prints nothing.
"""

from __future__ import annotations

from pathlib import Path

from corpus import CorpusError, UnknownSymbolsError, load_corpus, resolve_source
from model.compute.device import Machine, choose_device
from model.compute.engine import Engine
from model.compute.malloc import keep_freed_memory
from model.compute.torch_threads import prepare_thread
from model.data.batches import Batches, make_batches
from model.distributed.process_group import Instruction, ProcessGroup
from model.errors import ConfigError
from model.network.make import make_network
from model.runs.checkpoint import CheckpointMetadata
from model.runs.checkpoint_file import checkpoint_of_bytes
from model.runs.reload_corpus import parts_of
from model.runs.request import RunRequest
from model.training.controls import TrainingControls
from model.training.engines import can_compute
from model.training.trainer import Trainer


class Follower:
    """Runs one process that carries out the leader's instructions."""

    def __init__(
        self, request: RunRequest, controls: TrainingControls, ranks: ProcessGroup
    ) -> None:
        """Does not communicate with the leader yet.

        Args:
            request: this process's request; the text may have another path on each machine.
            controls: hold the signal that this process received, which ends all processes.
            ranks: the processes.
        """
        self._request = request
        self._controls = controls
        self._ranks = ranks
        self._trainer: Trainer | None = None

    def join(self) -> int | None:
        """Receives the run; returns an exit status if the leader ends first, otherwise None.

        Raises:
            UserError: this process cannot read the text or cannot use the leader's engine.
            RankLost: another process is gone.
        """
        agreed = self._ranks.broadcast_instruction()
        if agreed.instruction is Instruction.END:
            return int(agreed.value)
        start = checkpoint_of_bytes(self._ranks.broadcast_bytes(None), Path("the first process"))
        metadata = start.metadata
        machine = self._machine(metadata)
        network = make_network(metadata.model, len(metadata.vocabulary))
        batches = self._batches(metadata)
        self._trainer = Trainer(network, batches, metadata.training, machine, self._ranks)
        self._trainer.restore(start.tensors, metadata.progress)
        return None

    def work(self) -> int:
        """Carries out instructions; returns the number of the signal that ended them, 0 if none.

        Raises:
            TrainingDiverged: the guard gave up, in all processes at the same step.
            RankLost: another process is gone.
        """
        trainer = self._trainer
        assert trainer is not None, "it has joined"
        try:
            while True:
                agreed = self._ranks.broadcast_instruction(signal=self._controls.signal)
                match agreed.instruction:
                    case Instruction.STEP:
                        trainer.step(agreed.value)
                    case Instruction.GATHER:
                        trainer.tensors()
                    case Instruction.TEACH:
                        trainer.teach(lambda: self._controls.signal != 0)
                    case Instruction.STUDENT:
                        trainer.begin_student(agreed.value)
                    case Instruction.END:
                        return agreed.signal
                    case Instruction.WAIT | Instruction.JOIN:
                        pass
        finally:
            trainer.close()

    def _machine(self, metadata: CheckpointMetadata) -> Machine:
        engine = Engine.from_record(metadata.progress["engine"])
        device = choose_device(metadata.training.device, self._ranks.place)
        if not can_compute(engine):
            raise ConfigError(
                "--precision",
                f"process {self._ranks.place.rank} cannot compute in bf16 as the first one does",
                "give --precision fp32",
            )
        keep_freed_memory()
        prepare_thread(engine.threads_per_shard)
        return Machine.on(device, engine)

    def _batches(self, metadata: CheckpointMetadata) -> Batches:
        """Reads the text and checks that it is the leader's text."""
        source = metadata.source
        specification = self._request.corpus or source.specification
        options = source.options(encoding=self._request.corpus_options.encoding)
        where = resolve_source(specification, offline=self._request.offline, options=options)
        try:
            corpus = load_corpus(where, options, vocabulary=metadata.vocabulary)
        except UnknownSymbolsError as error:
            raise self._other_text(specification) from error
        if corpus.sha256 != source.sha256:
            raise self._other_text(specification)
        split = parts_of(corpus, metadata)
        return make_batches(split.train, metadata.training, subject=corpus.name)

    def _other_text(self, specification: str) -> CorpusError:
        return CorpusError(
            specification,
            f"process {self._ranks.place.rank} reads another text than the first one",
            "give all machines the same",
        )
