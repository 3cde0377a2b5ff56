"""What jobs carry: only which document to work on. The document holds everything else and is the fence."""

from modelyard_contracts.calls.version import HistoryRecord
from modelyard_contracts.shapes import Location, Shape


class ImportJob(Shape):
    import_id: str


class MatchJob(Shape):
    """Apply the project's import rules to a finished training run."""

    training_job_id: str


class ConversionJob(Shape):
    conversion_id: str


class EvaluationJob(Shape):
    run_id: str


class PurgeJob(Shape):
    """Free the objects of a deleted version. `model_id` is only named in the log; the documents are gone."""

    model_id: str
    location: Location


class RecordJob(Shape):
    """Keep one record of a version's history. It was committed with the change it tells of."""

    record: HistoryRecord


class VerifyJob(Shape):
    """Read a version's files and compare them with their manifests."""

    verification_id: str


class AuditJob(Shape):
    """Compare what a project's documents name with what lies in the bucket."""

    audit_id: str
