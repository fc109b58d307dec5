import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bakeoff.report.arms import as_text, common_choices, group_arms, natural_key


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
    assert as_text(value) == text


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


def test_numbers_sort_by_size_and_before_words():
    values = ["full", "128", "0.001", "16", "1e-05", "auto", "nan", "0.1"]
    assert sorted(values, key=natural_key) == ["1e-05", "0.001", "0.1", "16", "128", "auto", "full", "nan"]
