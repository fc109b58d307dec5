"""The modules of the page that draw nothing: address, choices, order, files, ranges."""

import csv
import hashlib
import io
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import bakeoff.tab

STATIC = Path(bakeoff.tab.__file__).parent / "static"
HOSTILE = ["a,b", "~", "~~x", "ü 中 😀", "<script>alert(1)</script>", "%41%", "a&b=c#d", "\"quote'", "", "a+b c", "\n"]

pytestmark = pytest.mark.chromium


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address():
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=STATIC)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def js(browser, address):
    """Runs JavaScript with every export of one module in scope as `m` and the argument as `given`."""
    page = browser.new_page()
    page.route("**/empty", lambda route: route.fulfill(content_type="text/html", body="<!DOCTYPE html>"))
    page.goto(f"{address}/empty")
    page.add_script_tag(url="/vendor/d3.min.js")

    def run(module, script, given=None):
        body = f"async (given) => {{ const m = await import('/{module}'); {script} }}"
        return page.evaluate(body, given)

    return run


def sweep(choices, arms):
    """A sweep as the server describes it; `arms` are dictionaries of choices."""
    kinds = {str: "text", bool: "bool"}
    described = [
        {"key": k, "type": kinds.get(type(values[0]), "number"), "values": values} for k, values in choices.items()
    ]
    named = [{"id": f"arm{i}", "name": f"arm{i}", "choices": arm, "runs": []} for i, arm in enumerate(arms)]
    metrics = [{"name": "val/accuracy", "direction": "max"}, {"name": "val/loss", "direction": "min"}]
    return {"sweep": "demo", "choices": described, "arms": named, "metrics": metrics, "default_metric": "val/accuracy"}


OPTIMIZERS = {"optimizer": ["sgd", "adam"], "loss": ["mse", "hinge"], "batch_size": ["16", "128", "full"]}
ARMS = [
    {"optimizer": o, "loss": loss, "batch_size": b}
    for o in ("sgd", "adam")
    for loss in ("mse", "hinge")
    for b in ("16", "128", "full")
]


@pytest.mark.parametrize(
    "rewrite",
    ["", ".split('&').map(x => x.split('=').map(p => encodeURIComponent(decodeURIComponent(p))).join('=')).join('&')"],
)
def test_an_address_gives_the_state_back(js, rewrite):
    state = {
        "view": "table",
        "value": "best",
        "axis": "epochs",
        "xscale": "log",
        "yscale": "log",
        "scales": "free",
        "seeds": "all",
        "sort": "choice:ü=&",
        "order": "descending",
        "rows": "",
        "columns": "a&b",
        "colour": "<i>",
        "sweep": "über/ sweep#1",
        "metric": "val/accuracy",
        "arm": 'x="y",z',
        "panel": "arm",
        "against": "lr",
        "hide": {"optimizer": HOSTILE, "__proto__ ": ["x"], "a.b": ["1e-05"]},
        "cell": {"loss": ["a,b"], "%": ["~"]},
    }
    # TensorBoard writes the hash again, decoded and encoded once
    back = js("address.js", f"return m.parse(m.format(given).slice(1){rewrite})", state)
    assert back == state


def test_a_choice_may_be_named_like_a_part_of_every_object(js):
    script = """const hide = Object.fromEntries([["__proto__", ["x"]], ["constructor", ["y"]]]);
      return Object.entries(m.parse(m.format({hide})).hide)"""
    assert js("address.js", script) == [["__proto__", ["x"]], ["constructor", ["y"]]]


@pytest.mark.parametrize(
    "fragment", ["", "#", "#bakeoff", "#timeseries&x=1", "#bakeoff&p.bakeoff.%", "#bakeoff&p.bakeoff.nonsense=1"]
)
def test_an_address_without_a_state_gives_an_empty_one(js, fragment):
    assert js("address.js", "return m.parse(given)", fragment) == {"hide": {}, "cell": {}}


def test_what_an_address_asks_wrongly_falls_back(js):
    wrong: dict[str, Any] = dict.fromkeys(
        ("view", "metric", "value", "axis", "xscale", "yscale", "scales", "rows", "columns", "arm"), "nonsense"
    )
    wrong |= {"hide": {"optimizer": ["gone", "sgd"], "absent": ["x"]}, "cell": {"loss": ["gone"]}, "panel": "nonsense"}
    state = js("state.js", "return m.resolve(given[0], given[1])", [wrong, sweep(OPTIMIZERS, ARMS)])
    fresh = js("state.js", "return m.resolve({}, given)", sweep(OPTIMIZERS, ARMS))
    assert state == fresh | {"hide": {"optimizer": ["sgd"]}}
    assert [fresh[key] for key in ("view", "metric", "rows", "columns", "colour")] == [
        "curves",
        "val/accuracy",
        "loss",
        "batch_size",
        "optimizer",
    ]


@pytest.mark.parametrize(
    ("choices", "rows", "columns", "colour"),
    [
        ({"lr": [0.1, 1]}, "", "", "lr"),
        ({"lr": [0.1, 1], "wd": [0, 1]}, "", "wd", "lr"),
        ({"a": ["x", "y"], "loss": ["x", "y"], "b": ["x", "y"]}, "loss", "b", "a"),
        ({"lr": list(range(40)), "optimizer": ["x", "y"]}, "", "", "optimizer"),
    ],
)
def test_the_first_layout_takes_what_varies(js, choices, rows, columns, colour):
    arms = [{key: values[i % len(values)] for key, values in choices.items()} for i in range(40)]
    state = js("state.js", "return m.resolve({}, given)", sweep(choices, arms))
    assert (state["rows"], state["columns"], state["colour"]) == (rows, columns, colour)


def test_numbers_over_orders_of_magnitude_get_a_logarithmic_axis(js):
    choices: dict[str, list[Any]] = {"lr": [0.001, 0.01, 0.1], "width": [32, 64]}
    described = sweep(choices, [{"lr": lr, "width": w} for lr in choices["lr"] for w in choices["width"]])
    script = "return ['lr', 'width'].map((against) => m.resolve({against}, given).against_scale)"
    assert js("state.js", script, described) == ["log", "linear"]


def test_csv_is_what_a_csv_reader_reads(js):
    rows: list[list[Any]] = [["arm", "mean"], *([text, 0.1 + 0.2] for text in [*HOSTILE, "two\r\nlines", " space "])]
    text = js("csv.js", "return m.csv(given)", rows)
    assert list(csv.reader(io.StringIO(text, newline=""))) == [[str(field) for field in row] for row in rows]
    assert js("csv.js", "return m.csv([[null, NaN, 0, false, 1e-7]])") == ",,0,false,1e-7\r\n"


def test_arms_stand_in_the_cell_of_their_choices(js):
    arms = [*ARMS[:-1], {"optimizer": "adam", "loss": "hinge"}]  # the last one leaves its batch size at the default
    script = """const choices = m.varying(given); const by = (key) => choices.find((c) => c.key === key);
      const grid = m.grid(given.arms, by("loss"), by("batch_size"));
      const cells = grid.cells.map((row) => row.map((arms) => arms.map((arm) => arm.id)));
      return [grid.rows, grid.columns.map(m.label), cells]"""
    rows, columns, cells = js("choices.js", script, sweep(OPTIMIZERS, arms))
    assert (rows, columns) == (["mse", "hinge"], ["16", "128", "full", "(default)"])
    assert cells == [
        [["arm0", "arm6"], ["arm1", "arm7"], ["arm2", "arm8"], []],
        [["arm3", "arm9"], ["arm4", "arm10"], ["arm5"], ["arm11"]],
    ]


def test_a_family_differs_in_one_choice_alone(js):
    script = "return m.families(given.arms, ['batch_size'], m.varying(given)).map((arms) => arms.map((arm) => arm.id))"
    families = js("choices.js", script, sweep(OPTIMIZERS, ARMS))
    assert families == [[f"arm{3 * i + j}" for j in range(3)] for i in range(4)]


def test_filters_hide_values_and_only_those(js):
    script = "return m.shown(given[0].arms, given[1]).map((arm) => arm.id)"
    described = sweep(OPTIMIZERS, [*ARMS, {"optimizer": "new", "loss": "mse", "batch_size": "16"}])
    assert js("choices.js", script, [described, {}]) == [f"arm{i}" for i in range(13)]
    assert js("choices.js", script, [described, {"optimizer": ["sgd"], "loss": ["hinge"]}]) == [
        "arm6",
        "arm7",
        "arm8",
        "arm12",
    ]
    assert js("choices.js", script, [described, {"batch_size": ["16", "128", "full"]}]) == []
    assert js("filters.js", "return m.withEntry({a: ['1'], b: ['2']}, 'a', [])") == {"b": ["2"]}


def test_numbers_are_found_in_numbers_and_in_text(js):
    choices: dict[str, list[Any]] = {"text": ["a", "b"], "flag": [True, False]}
    choices |= {"batch_size": ["16", "128", "full"], "lr": [0.1, 1]}
    arms = [{key: values[i % len(values)] for key, values in choices.items()} for i in range(12)]
    assert js("choices.js", "return m.numeric(m.varying(given)).map((c) => c.key)", sweep(choices, arms)) == [
        "lr",
        "batch_size",
    ]


def test_numbers_that_a_configuration_chose_can_be_drawn_against_too(js):
    given = sweep(OPTIMIZERS, ARMS)
    size = {"16": 16, "128": 128, "full": 1077}
    samples = {arm["id"]: size[arm["choices"]["batch_size"]] for arm in given["arms"]}
    rates = {arm["id"]: 0.1 * (1 + i % 5) for i, arm in enumerate(given["arms"])}
    given["numbers"] = [{"key": "optimizer.lr", "arms": rates}, {"key": "samples_per_step", "arms": samples}]
    script = """const choices = m.varying?.(given) ?? given.choices;
      return m.quantities(given, choices).map((q) => [q.key, q.instead, given.arms.map(q.of)])"""
    found = {key: (instead, values) for key, instead, values in js("quantities.js", script, given)}
    # what stands in for a choice comes first: its line joins the arms that differ in that choice
    assert list(found) == ["samples_per_step", "batch_size", "optimizer.lr"]
    assert found["samples_per_step"] == (["batch_size"], list(samples.values()))
    assert found["optimizer.lr"] == ([], list(rates.values()))
    assert found["batch_size"][1] == [None if value == 1077 else value for value in samples.values()]


def test_an_arm_at_its_default_has_the_number_of_its_configuration(js):
    given = sweep({"lr": [0.1, 1]}, [{"lr": 0.1}, {"lr": 1}, {}])
    given["numbers"] = [{"key": "lr", "arms": {"arm0": 0.1, "arm1": 1, "arm2": 0.5}}]
    script = "return m.quantities(given, given.choices).map((q) => [q.key, given.arms.map(q.of)])"
    assert js("quantities.js", script, given) == [["lr", [0.1, 1, 0.5]]]


@pytest.mark.parametrize(("order", "expected"), [("ascending", "acbd"), ("descending", "bacd")])
def test_rows_without_a_value_come_last_in_either_direction(js, order, expected):
    rows = {"a": (1, 0.5), "b": (2, 0.4), "c": (1, 0.4), "d": (None, None)}
    entries = [{"arm": {"name": name}, "row": {"rank": rank, "mean": mean}} for name, (rank, mean) in rows.items()]
    script = "return m.sorted(given[0], {value: (e) => e.row.rank}, given[1], 'max').map((e) => e.arm.name).join('')"
    assert js("sorting.js", script, [entries, order]) == expected


@pytest.mark.parametrize(("direction", "expected"), [("min", "cab"), ("max", "bac"), (None, "abc")])
def test_equal_rows_go_by_the_better_mean_where_that_is_known(js, direction, expected):
    means = {"b": 0.9, "a": 0.5, "c": 0.4}
    entries = [{"arm": {"name": name}, "row": {"rank": None, "mean": mean}} for name, mean in means.items()]
    script = "return m.sorted(given[0], {value: (e) => e.row.rank}, 'ascending', given[1]).map((e) => e.arm.name)"
    assert "".join(js("sorting.js", script, [entries, direction])) == expected


def test_choices_are_sorted_in_the_order_in_which_they_are_shown(js):
    entries = [{"arm": {"name": b, "b": b}, "row": {"mean": None}} for b in ("full", "128", "16")]
    script = """const column = {choice: {values: ["16", "128", "full"]}, value: (e) => e.arm.b};
      return m.sorted(given, column, "ascending", "max").map((e) => e.arm.name)"""
    assert js("sorting.js", script, entries) == ["16", "128", "full"]


def test_points_that_a_logarithm_cannot_show_are_left_out(js):
    script = """const curve = {x: [0, 1, 2], y: [1, -1, 3], low: [null, 0, 2], high: [2, 2, 4], colour: "red"};
      const c = m.columns([curve], {xscale: "log", yscale: "log"});
      return [c.x, c.y, c.low].map((a) => [...a].map((v) => Number.isNaN(v) ? null : v))"""
    assert js("series.js", script) == [[None, 1, 2], [1, None, 3], [None, None, 2]]


def test_a_wide_band_does_not_flatten_the_means(js):
    part = {"y": [0.5, 0.9], "low": [-5, -6], "high": [6, 7]}
    low, high = js("series.js", "return m.rangeOfY([given], 'linear')", part)
    assert low == pytest.approx(0.3, abs=0.05)
    assert high == pytest.approx(1.1, abs=0.05)
    assert js("series.js", "return m.rangeOfY([{y: [NaN], low: [], high: []}], 'linear')") is None


def test_first_steps_do_not_flatten_what_follows_but_ends_are_always_shown(js):
    risen = [0.1, *[0.9 + 0.001 * i for i in range(40)]]
    part = {"y": [*risen, 0.1, *[0.8] * 40, 0.5], "low": [], "high": [], "z": [0] * 41 + [1] * 42}
    low, high = js("series.js", "return m.rangeOfY([given], 'linear', false)", part)
    assert 0.4 < low < 0.5  # where the second curve ends, an outlier or not
    assert 0.939 < high < 1
    low, high = js("series.js", "return m.rangeOfY([given], 'linear', true)", part)
    assert low < 0.1


def test_the_nearest_point_is_the_nearest_on_the_screen(js):
    script = """const scale = (k) => ({apply: (v) => v * k, invert: (p) => p / k});
      const curves = [{x: [0, 1, 2], y: [0, 0, 0]}, {x: [0, 2], y: [1, null]}];
      const at = (px, py) => {
        const f = m.nearest(curves, scale(100), scale(100), px, py);
        return f && [curves.indexOf(f.curve), f.index];
      };
      return [at(95, 5), at(3, 98), at(190, 10), at(150, 300)]"""
    assert js("series.js", script) == [[0, 1], [1, 0], [0, 2], None]


def test_the_filter_of_time_series_finds_the_runs_and_no_others(js):
    runs = ["demo/lr=0.1,a(b)=[c]/seed=0", "demo/lr=0.1,a(b)=[c]/seed=1", "demo/x+y$/seed=0"]
    others = ["demo/lr=0x1,a(b)=[c]/seed=0", "demo/lr=0.1,a(b)=[c],more/seed=0", "other/demo/x+y$/seed=0", "demo/x"]
    pattern = re.compile(js("links.js", "return m.runFilter(given)", runs))
    assert [bool(pattern.search(run)) for run in runs + others] == [True] * 3 + [False] * 4


def test_numbers_are_short_and_line_up(js):
    given = [0.875, 0.91234567, 12345.678, 1e-9, 0, None, 2.5e7]
    assert js("format.js", "return given.map(m.number)", given) == [
        "0.875",
        "0.9123",
        "12,350",
        "1.000e-9",
        "0",
        "–",
        "2.500e7",
    ]
    assert js("format.js", "return given.map(m.measured)", given[:2]) == ["0.8750", "0.9123"]


def test_the_vendored_files_are_those_that_their_readme_names():
    readme = (STATIC / "vendor" / "README.md").read_text()
    for path in (STATIC / "vendor").glob("*.js"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in readme


def test_data_never_becomes_markup():
    sinks = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    assert [path.name for path in STATIC.glob("*.js") if sinks.search(path.read_text())] == []
