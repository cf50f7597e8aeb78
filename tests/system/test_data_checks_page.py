"""docs/guides/data-checks.md explains every kind of finding."""

from support.places import DOCS

from sola.data.findings import KINDS

PAGE = DOCS / "guides" / "data-checks.md"


def test_every_kind_of_finding_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind, (noun, problem) in KINDS.items():
        assert f"| `{kind}` | N {noun}s {problem}".rstrip() in text, kind
