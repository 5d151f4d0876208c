"""Of a hospital's dashboard: what runs on its machines, as the gateway has heard it from the trainers."""

from __future__ import annotations

from monitoring.dashboards.page import Row
from monitoring.dashboards.site_queries import BY, JOB, NAMED, NO_TRAINER
from monitoring.panels import GREEN, YELLOW, Column, Frame, Query, course, listing

_NO_NVML = "No GPU that can be asked"
_NOT_SAID = "No trainer says so"


def _trainer(series: str) -> str:
    """Give a number of the trainer of each job that is attended."""
    return (
        f"max by ({BY}) (fedward_trainer_{series}{{{JOB}}})"
        f" and on ({BY}) max by ({BY}) (fedward_gateway_attending{{{JOB}}}) == 1"
    )


RUNNING = Row(
    "What runs on our machines",
    (
        listing(
            Frame(
                "Jobs",
                "Every job whose work order holds, and what its trainer last said.",
                "none",
                24,
                7,
                empty=NO_TRAINER,
            ),
            {"job_namespace": "Namespace", "job_name": "Job"},
            Column(
                "Attends",
                f"max by ({BY}) (fedward_gateway_attending{{{JOB}}})",
                words={0: ("no", YELLOW), 1: ("yes", GREEN)},
            ),
            Column(
                "Hub",
                f"max by ({BY}) (fedward_gateway_hub_connected{{{JOB}}})",
                words={0: ("cut off", YELLOW), 1: ("reached", GREEN)},
            ),
            Column("Stage", f"max by ({BY}, stage) (fedward_trainer_stage{{{JOB}}}) == 1", takes="stage"),
            Column("Round", f"max by ({BY}) (fedward_trainer_round{{{JOB}}})"),
            Column("Progress", f"max by ({BY}) (fedward_trainer_progress_ratio{{{JOB}}})", "percentunit"),
            Column("Loss", f"max by ({BY}) (fedward_trainer_loss{{{JOB}}})", decimals=3),
            Column("Cases done", f"max by ({BY}) (fedward_trainer_cases_total{{{JOB}}})"),
            Column(
                "Last heard",
                f"time() - max by ({BY}) (fedward_trainer_last_heard_timestamp_seconds{{{JOB}}})",
                "s",
                decimals=0,
            ),
            Column("Updates out", f"sum by ({BY}) (fedward_gateway_released_total{{{JOB}}})"),
            Column("Bytes out", f'sum by ({BY}) (fedward_gateway_bytes_total{{{JOB},direction="up"}})', "bytes"),
        ),
        course(
            Frame("Training loss", "As each trainer last said it.", "none", 8, empty=NO_TRAINER),
            Query(_trainer("loss"), NAMED),
        ),
        course(
            Frame("Speed", "Training cases worked through.", "cps", 8, empty=_NOT_SAID),
            Query(_trainer("cases_per_second"), NAMED),
        ),
        course(
            Frame(
                "Waiting for data",
                "The share of training time that the machine waited for cases to be read: high means slow storage.",
                "percentunit",
                8,
                empty=_NOT_SAID,
            ),
            Query(_trainer("data_wait_ratio"), NAMED),
            up_to=1,
        ),
        course(
            Frame("GPU load", "How busy each job's GPU is.", "percentunit", 8, empty=_NO_NVML),
            Query(_trainer("gpu_utilisation_ratio"), NAMED),
            up_to=1,
        ),
        course(
            Frame("GPU memory", "Used by each job, and how much its GPU has.", "bytes", 8, empty=_NO_NVML),
            Query(_trainer("gpu_memory_used_bytes"), f"{NAMED} used"),
            Query(_trainer("gpu_memory_size_bytes"), f"{NAMED} size"),
        ),
        course(
            Frame(
                "Score",
                "Of the models that were evaluated here, as it was let out; by the metric that each job is judged by.",
                "none",
                8,
                empty=NO_TRAINER,
            ),
            Query(f"max by ({BY}, metric) (fedward_trainer_score{{{JOB}}})", f"{NAMED} {{{{metric}}}}"),
            up_to=1,
        ),
    ),
)
