"""Documents to Markdown with Docling's backends, without torch.

Docling's `DocumentConverter` imports torch even for a CSV file, so each format's backend is used on its own.
PDF and pictures need Docling's models, and with them torch: not in this variant.
"""

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

BACKENDS = {
    ".csv": (InputFormat.CSV, CsvDocumentBackend),
    ".docx": (InputFormat.DOCX, MsWordDocumentBackend),
    ".html": (InputFormat.HTML, HTMLDocumentBackend),
    ".md": (InputFormat.MD, MarkdownDocumentBackend),
    ".pptx": (InputFormat.PPTX, MsPowerpointDocumentBackend),
    ".xlsx": (InputFormat.XLSX, MsExcelDocumentBackend),
}


def to_markdown(path: Path) -> str:
    """Markdown of one document; its format is told by its suffix."""
    kind, backend = BACKENDS[path.suffix]
    # The input's own backend stays a no-op, or the document would be parsed twice.
    source = InputDocument(path_or_stream=path, format=kind, backend=NoOpBackend)
    parser = backend(in_doc=source, path_or_stream=path)
    try:
        return parser.convert().export_to_markdown()
    finally:
        parser.unload()
