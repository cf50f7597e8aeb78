"""Parse XML without entities or external references, and write XML."""

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, indent
from xml.etree.ElementTree import ElementTree as Document

import defusedxml
from defusedxml import ElementTree

from sola.core.files import replacing
from sola.data.annotation_formats.base import Source


def parse(source: Source) -> Element:
    """Return the root of a document. Raises SolaError for malformed XML or declared entities."""
    text = source.text.partition("?>")[2] if source.text.lstrip().startswith("<?xml") else source.text
    try:
        root: Element = ElementTree.fromstring(text)
    except ParseError as error:
        line, column = error.position
        raise source.bad(f"line {line}, column {column}", "malformed XML; export it again") from None
    except defusedxml.DefusedXmlException as error:
        kind = type(error).__name__
        raise source.bad("the document", f"declares entities or external references ({kind}); remove them") from None
    return root


def write_xml(root: Element, path: Path) -> None:
    """Write a document atomically."""
    indent(root)
    with replacing(path) as temporary:
        Document(root).write(temporary, encoding="UTF-8", xml_declaration=True)
