"""XML: parsed without entities and without reading anything else, and written."""

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, indent
from xml.etree.ElementTree import ElementTree as Document

import defusedxml
from defusedxml import ElementTree

from sola.core.files import replacing
from sola.data.annotation_formats.base import Source


def parse(source: Source) -> Element:
    """Return the root of a document. Raises SolaError for malformed XML, and for one that declares entities."""
    text = source.text.partition("?>")[2] if source.text.lstrip().startswith("<?xml") else source.text
    try:
        root: Element = ElementTree.fromstring(text)
    except ParseError as error:
        line, column = error.position
        raise source.bad(f"line {line}, column {column}", "malformed XML; export it again") from None
    except defusedxml.DefusedXmlException as error:
        kind = type(error).__name__
        raise source.bad("the document", f"declares entities or refers to others ({kind}); remove them") from None
    return root


def write_xml(root: Element, path: Path) -> None:
    """Write a document, atomically."""
    indent(root)
    with replacing(path) as aside:
        Document(root).write(aside, encoding="UTF-8", xml_declaration=True)
