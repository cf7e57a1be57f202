"""The queue and the folder both sides use: the API writes documents, the worker writes Markdown."""

import os
from pathlib import Path
from uuid import UUID

from celery import Celery

REDIS_URL = os.environ.get("REDIS_URL", "redis://redis:6379/0")
DATA = Path(os.environ.get("DOC2MD_DATA", "/data"))

# The API sends the task by name: it never imports the worker's code, nor Docling.
CONVERT = "doc2md.convert"

# PDF and pictures need Docling's models: only the full worker (DOC2MD_FULL=1) converts these.
MODEL_FORMATS = {".pdf", ".png", ".jpg", ".jpeg", ".tiff"}
FORMATS = {".docx", ".html", ".pptx", ".xlsx", ".csv", ".md"} | (MODEL_FORMATS if os.environ.get("DOC2MD_FULL") else set())

queue = Celery("doc2md", broker=REDIS_URL, backend=REDIS_URL)
queue.conf.update(
    task_acks_late=True,  # a worker that dies gives its document back to the queue
    worker_prefetch_multiplier=1,  # documents take seconds: no worker hoards them
    result_expires=24 * 3600,
    broker_connection_retry_on_startup=True,
)


def document(job: UUID, suffix: str) -> Path:
    """Where the uploaded document of a job lies."""
    return DATA / f"{job}{suffix}"


def markdown(job: UUID) -> Path:
    """Where the Markdown of a job appears, complete or not at all."""
    return DATA / f"{job}.out.md"
