"""The worker's one task, and the sign of life its container is checked by."""

from pathlib import Path
from uuid import UUID

from celery.signals import heartbeat_sent, worker_ready, worker_shutdown

from shared.jobs import CONVERT, document, markdown, queue
from workers.convert import to_markdown

# Asking a worker over the queue (`celery inspect ping`) costs seconds of CPU for each check; a file's age is free.
ALIVE = Path("/tmp/worker-alive")


@heartbeat_sent.connect
@worker_ready.connect
def _alive(**_: object) -> None:
    ALIVE.touch()


@worker_shutdown.connect
def _gone(**_: object) -> None:
    ALIVE.unlink(missing_ok=True)


@queue.task(name=CONVERT)
def convert(job: str, suffix: str) -> None:
    """Writes the Markdown of a job's document in its place."""
    source = document(UUID(job), suffix)
    target = markdown(UUID(job))
    if target.exists():
        return  # given to a second worker, because the first died before it could say that it was done
    partial = target.with_suffix(".part")
    try:
        partial.write_text(to_markdown(source), encoding="utf-8")
        partial.rename(target)  # a reader sees all of it or nothing
    finally:
        source.unlink(missing_ok=True)
