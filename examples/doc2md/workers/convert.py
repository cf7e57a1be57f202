"""Documents to Markdown with Docling.

Office and web formats: Docling's `DocumentConverter` imports torch even for a CSV file, so each format's backend is
used on its own; this works in both variants of the worker. PDF and pictures need Docling's models and with them
torch: only the full worker has these.
"""

import importlib.util
from pathlib import Path

from docling.backend.csv_backend import CsvDocumentBackend
from docling.backend.html_backend import HTMLDocumentBackend
from docling.backend.md_backend import MarkdownDocumentBackend
from docling.backend.msexcel_backend import MsExcelDocumentBackend
from docling.backend.mspowerpoint_backend import MsPowerpointDocumentBackend
from docling.backend.msword_backend import MsWordDocumentBackend
from docling.backend.noop_backend import NoOpBackend
from docling.datamodel.base_models import InputFormat
from docling.datamodel.document import InputDocument

from shared.jobs import MODEL_FORMATS

BACKENDS = {
    ".csv": (InputFormat.CSV, CsvDocumentBackend),
    ".docx": (InputFormat.DOCX, MsWordDocumentBackend),
    ".html": (InputFormat.HTML, HTMLDocumentBackend),
    ".md": (InputFormat.MD, MarkdownDocumentBackend),
    ".pptx": (InputFormat.PPTX, MsPowerpointDocumentBackend),
    ".xlsx": (InputFormat.XLSX, MsExcelDocumentBackend),
}


class Unsupported(Exception):
    """A document this worker cannot convert."""


def to_markdown(path: Path) -> str:
    """Markdown of one document; its format is told by its suffix."""
    if path.suffix in MODEL_FORMATS:
        return _with_models(path)
    kind, backend = BACKENDS[path.suffix]
    # The input's own backend stays a no-op, or the document would be parsed twice.
    source = InputDocument(path_or_stream=path, format=kind, backend=NoOpBackend)
    parser = backend(in_doc=source, path_or_stream=path)
    try:
        return parser.convert().export_to_markdown()
    finally:
        parser.unload()


def _with_models(path: Path) -> str:
    if importlib.util.find_spec("torch") is None:
        raise Unsupported(f"{path.suffix} needs Docling's models, which this worker was built without: build it with DOC2MD_FULL=1")
    # Imported for the first such document: it takes seconds, and office formats do not need it.
    from docling.document_converter import DocumentConverter
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return DocumentConverter().convert(path).document.export_to_markdown()
    except LocalEntryNotFoundError as error:
        why = f"{path.suffix} needs Docling's models, and Hugging Face could not be reached for them"
        raise Unsupported(f"{why}: this worker needs the network once, the volume `models` keeps them") from error
