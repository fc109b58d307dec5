import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bakeoff.report.arms import common_choices, group_arms, plain
from bakeoff.report.table import cells_wide, shorten, text_table, visible


def names(*records):
    return [arm.name for arm in group_arms(records)]


def test_a_folder_makes_one_arm_ordered_by_seed(make_record):
    records = [make_record("b", 10), make_record("a", 1), make_record("b", 2)]
    arms = group_arms(records)
    assert [(arm.folder, [r.seed for r in arm.records]) for arm in arms] == [("a", [1]), ("b", [2, 10])]


def test_a_name_holds_only_what_differs(make_record):
    adam = {"model": "mlp", "optimizer": "adam", "loss": "mse", "batch_size": 16}
    sgd = adam | {"optimizer": "sgd", "batch_size": "full"}
    records = [make_record("1", arm=adam), make_record("2", arm=sgd)]
    assert names(*records) == ["optimizer=adam, batch_size=16", "optimizer=sgd, batch_size=full"]
    assert common_choices([adam, sgd]) == {"model": "mlp", "loss": "mse"}


def test_the_order_of_keys_is_no_difference(make_record):
    arms = [{"a": {"x": 1, "y": 2}, "b": 1}, {"b": 1, "a": {"y": 2, "x": 1}}]
    assert names(*(make_record(f"d~{i}", arm=arm) for i, arm in enumerate(arms))) == ["default~0", "default~1"]


def test_a_key_that_one_arm_lacks_differs(make_record):
    records = [
        make_record("1", arm={"loss": "focal", "loss.gamma": 2}),
        make_record("2", arm={"loss": "focal"}),
    ]
    assert names(*records) == ["loss.gamma=2", "default"]


def test_one_arm_is_the_default(make_record):
    assert names(make_record("optimizer=adam", 0), make_record("optimizer=adam", 1)) == ["default"]


def test_no_records_make_no_arms():
    assert group_arms([]) == []
    assert common_choices([]) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("adam", "adam"),
        ("64", "64"),
        (64, "64"),
        (0.01, "0.01"),
        (1e-5, "1e-05"),
        (True, "true"),
        (None, "null"),
        ([0.9, 0.999], "[0.9, 0.999]"),
        ("Größe", "Größe"),
        (["é"], '["é"]'),
    ],
)
def test_values_are_written_as_on_the_command_line(value, text):
    assert plain(value) == text


def test_equal_choices_are_told_apart_by_the_folders_hash(make_record):
    same = {"optimizer": "adam"}
    records = [make_record("optimizer=adam", arm=same), make_record("optimizer=adam~a1b2", arm=same)]
    assert names(*records) == ["default", "default~a1b2"]
    records.append(make_record("optimizer=sgd", arm={"optimizer": "sgd"}))
    assert names(*records) == ["optimizer=adam", "optimizer=adam~a1b2", "optimizer=sgd"]


def test_values_that_only_look_equal_are_told_apart(make_record):
    records = [make_record("n=64", arm={"n": 64}), make_record("n='64'", arm={"n": "64"})]
    assert names(*records) == ["n=64 [n='64']", "n=64 [n=64]"]


def test_names_cut_to_the_same_text_are_told_apart(make_record):
    arms = [{"path": "a" * 20 + middle + "z" * 20} for middle in "xy"]
    records = [make_record(f"p~{i}", arm=arm) for i, arm in enumerate(arms)]
    first, second = names(*records)
    assert (first, second) == ("path=aaaaaaaaaaa…zzzzzzzzzzzz~0", "path=aaaaaaaaaaa…zzzzzzzzzzzz~1")


def test_control_characters_become_visible(make_record):
    records = [make_record("1", arm={"a\tb": "\x1b[31mred\n\u202e"}), make_record("2", arm={"a\tb": "plain"})]
    assert names(*records)[0] == r"a\tb=\x1b[31mred\n\u202e"


ARM = st.dictionaries(
    st.sampled_from("abc"),
    st.one_of(st.integers(0, 2), st.sampled_from(["0", "1", "x", "é\n", "long" * 20]), st.none(), st.booleans()),
)
FOLDER = st.text(st.sampled_from("ab~"), min_size=1, max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arms=st.dictionaries(FOLDER, ARM, min_size=1, max_size=6))
def test_names_are_always_unique(make_record, arms):
    shown = names(*(make_record(folder, arm=arm) for folder, arm in arms.items()))
    assert len(set(shown)) == len(arms)


def test_visible_keeps_what_a_reader_can_read():
    assert visible("Größe 損失 <b>'\"&") == "Größe 損失 <b>'\"&"
    assert visible("a\x00\x7f\x9b\u2028\udc80\r") == r"a\x00\x7f\x9b\u2028\udc80\r"


@given(st.text(), st.integers(1, 30))
def test_shorten_keeps_both_ends_within_the_width(text, width):
    cut = shorten(text, width)
    assert len(cut) == min(len(text), width)
    if cut != text:
        head, tail = cut.split("…", 1) if "…" not in text else ("", "")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_columns_line_up_under_wide_and_combining_characters():
    rows = [["name", "n"], ["損失", "1"], ["e\u0301", "22"], ["plain", "333"]]
    assert text_table(rows, right=[False, True]).splitlines() == [
        "name     n",
        "──────────",
        "損失     1",
        "e\u0301       22",
        "plain  333",
    ]
    assert [cells_wide(name) for name, _ in rows] == [4, 4, 1, 5]
