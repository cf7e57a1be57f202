"""POST a document, GET its Markdown."""

import shutil
from pathlib import PurePath
from uuid import UUID, uuid4

import redis
from fastapi import FastAPI, HTTPException, Request, Response, UploadFile
from fastapi.responses import JSONResponse
from kombu.exceptions import OperationalError

from shared.jobs import CONVERT, FORMATS, MODEL_FORMATS, REDIS_URL, document, markdown, queue

app = FastAPI(title="Doc2MD")
store = redis.Redis.from_url(REDIS_URL, socket_connect_timeout=1, socket_timeout=1)


@app.exception_handler(redis.RedisError)
@app.exception_handler(OperationalError)
def no_queue(_request: Request, _error: Exception) -> JSONResponse:
    """Celery raises its own error when it sends, Redis' when it reads."""
    return JSONResponse({"detail": "the queue does not answer"}, 503)


@app.get("/health")
def health() -> dict[str, str]:
    """Whether jobs can be accepted."""
    store.ping()
    return {"status": "ok"}


@app.post("/documents", status_code=202)
def upload(file: UploadFile) -> dict[str, str]:
    """Queues a document; answers the job's id."""
    suffix = PurePath(file.filename or "").suffix.lower()
    if suffix not in FORMATS:
        why = "needs the worker with Docling's models: build and start with DOC2MD_FULL=1" if suffix in MODEL_FORMATS else "is no format this can convert"
        raise HTTPException(415, f"'{suffix}' {why}; can convert: {' '.join(sorted(FORMATS))}")
    job = uuid4()
    source = document(job, suffix)
    try:
        with source.open("wb") as target:
            shutil.copyfileobj(file.file, target)
        queue.send_task(CONVERT, args=[str(job), suffix], task_id=str(job))
    except BaseException:
        source.unlink(missing_ok=True)  # nobody will convert it
        raise
    return {"job": str(job)}


@app.get("/documents/{job}")
def state(job: UUID) -> dict[str, str]:
    """`pending`, `done` or `failed`; an id nobody was given stays `pending`, as Celery has it."""
    result = queue.AsyncResult(str(job))
    if result.successful():
        return {"state": "done"}
    if result.failed():
        return {"state": "failed", "error": str(result.result)}
    return {"state": "pending"}


@app.get("/documents/{job}/markdown")
def converted(job: UUID) -> Response:
    """The Markdown of a finished job."""
    try:
        return Response(markdown(job).read_bytes(), media_type="text/markdown; charset=utf-8")
    except FileNotFoundError as error:
        raise HTTPException(404, "not converted (yet)") from error
