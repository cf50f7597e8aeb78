"""Parts of ids, and ids after dropping parts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sola.data.id_parts import CHANGES, Side, parts_of, possible_changes

names = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "/", "d/", "d/e/", "d\\e\\", "C:\\"]),
        st.sampled_from(["", "v_", "rgb_", "flow-"]),
        st.text("aA_. \u00e9\u0301", max_size=3),
        st.sampled_from(["", "_rgb", "-flow"]),
        st.sampled_from(["", ".mp4", ".AVI "]),
    ),
)
ids = st.sets(names, min_size=1, max_size=4)


@given(names)
def test_parts_join_to_the_id(id_: str) -> None:
    folder, name, stream, suffix = parts_of(id_)
    joined = stream + name if stream.endswith(("_", "-")) else name + stream
    assert folder + joined + suffix == id_.replace("\\", "/")


@given(ours=ids, theirs=ids)
@settings(max_examples=50, deadline=None)
def test_omitted_changes_have_the_effect_of_others(ours: set[str], theirs: set[str]) -> None:
    sides = Side(ours), Side(theirs)
    tried = [tuple(side.by_key(change) for side in sides) for change in possible_changes(sides)]
    assert all(tuple(side.by_key(change) for side in sides) in tried for change in CHANGES)


@given(ids)
def test_no_id_is_lost_when_ids_become_equal(some: set[str]) -> None:
    for change in CHANGES:
        unique, repeated = Side(some).by_key(change)
        keys = [Side(some).key(parts_of(id_), change) for id_ in some]
        assert set(keys) == unique.keys() | repeated.keys()
        assert all(keys.count(key) == 1 for key in unique)
        assert all(keys.count(key) > 1 for key in repeated)
