"""What a trainer keeps on disk so that, killed at any instant, it goes on where it was."""

from __future__ import annotations

from pathlib import Path

from fedward_node.durable import write_durably
from fedward_protocol.plan import Plan
from fedward_protocol.wire import federation_pb2 as pb


class State:
    """A folder for one plan's models, evaluations and updates.

    Everything lies under the plan's digest: what was made for one plan is never taken for another's.
    """

    def __init__(self, root: Path, plan: Plan) -> None:
        self._folder = root / plan.digest().hex()[:16]
        for name in ("models", "evaluations", "updates"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)

    def model_path(self, digest: bytes) -> Path:
        """Where the model with this SHA-256 lies once it is complete."""
        return self._folder / "models" / f"{digest.hex()}.safetensors"

    @property
    def trained_path(self) -> Path:
        """Where an algorithm leaves the weights that it trained."""
        return self._folder / "trained.safetensors"

    def update_path(self, round_number: int) -> Path:
        """Where the encoded update of a round lies."""
        return self._folder / "updates" / f"{round_number}.safetensors"

    def evaluation(self, model_digest: bytes) -> pb.Evaluation | None:
        """The evaluation of a model, if it was made before."""
        record = self._evaluation_record(model_digest)
        return pb.Evaluation.FromString(record.read_bytes()) if record.exists() else None

    def keep_evaluation(self, evaluation: pb.Evaluation) -> None:
        """Keep an evaluation by its model's digest."""
        write_durably(self._evaluation_record(evaluation.model_digest), evaluation.SerializeToString())

    def update(self, round_number: int, model_digest: bytes) -> pb.UpdateHeader | None:
        """The update of a round against this very model, if it was made before; the file lies at `update_path`."""
        record = self._update_record(round_number)
        if not record.exists():
            return None
        header = pb.UpdateHeader.FromString(record.read_bytes())
        return header if header.model_digest == model_digest else None

    def keep_update(self, header: pb.UpdateHeader) -> None:
        """Keep an update whose file is complete: from here on the round is not trained again."""
        write_durably(self._update_record(header.round), header.SerializeToString())
        self.trained_path.unlink(missing_ok=True)

    def forget_update(self, round_number: int) -> None:
        """Forget a round's update before its file is written anew, so that no record speaks of a file half written."""
        self._update_record(round_number).unlink(missing_ok=True)

    def tidy(self, round_number: int, model_digest: bytes) -> None:
        """Delete models other than this one, and updates of rounds before this one."""
        for path in (self._folder / "models").iterdir():
            if not path.name.startswith(model_digest.hex()):
                path.unlink()
        for path in (self._folder / "updates").iterdir():
            if int(path.name.partition(".")[0]) < round_number:
                path.unlink()

    def _evaluation_record(self, model_digest: bytes) -> Path:
        return self._folder / "evaluations" / f"{model_digest.hex()}.pb"

    def _update_record(self, round_number: int) -> Path:
        return self._folder / "updates" / f"{round_number}.pb"
