"""XML, parsed without entities and without reading anything else."""

from xml.etree.ElementTree import Element, ParseError

import defusedxml
from defusedxml import ElementTree

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
