"""The tab in the real TensorBoard and a real browser: every control, the records' own numbers, and bad data."""

import csv
import json
import re
import shutil
import statistics
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from bakeoff.runs import Outcome, folder_name
from bakeoff.runs.lease import acquire
from bakeoff.tensorboard import EventFile

HOSTILE = '<img src=x onerror="alert(1)">'
SVG = "{http://www.w3.org/2000/svg}"

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def address(screenshot, small_sweep):
    with screenshot.tensorboard(small_sweep) as address:
        yield address


@pytest.fixture(scope="module")
def outcomes(small_sweep):
    """Arm's folder -> the outcomes of its seeds."""
    found = defaultdict(list)
    for path in sorted(small_sweep.glob("*/seed=*/outcome.json")):
        found[path.parts[-3]].append(json.loads(path.read_text()))
    return found


class Tab:
    """The tab, in TensorBoard's frame or, which loads faster, by itself; and how to wait for it."""

    def __init__(self, page, address, fragment="#bakeoff", framed=False):
        self.page, self.address = page, address
        page.goto(f"{address}/{'' if framed else 'data/plugin_entry.html?name=bakeoff'}{fragment}")
        self.frame = page.frame_locator("plugins-component iframe") if framed else page
        self.drawn()

    def drawn(self):
        expect(self.find("main")).to_have_attribute("aria-busy", "false")

    def find(self, selector, **options):
        return self.frame.locator(selector, **options)

    def show(self, view):
        self.find(f"#tab-{view}").click()
        self.drawn()

    def choose(self, name, value):
        self.find(f"select[name={name}]").select_option(value)
        self.drawn()

    def column(self, key):
        return self.find(f"td[data-column='{key}']").all_inner_texts()

    def download(self, kind, folder):
        with self.page.expect_download() as waiting:
            self.find(f"[aria-label='Export {kind}']").click()
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path


@pytest.fixture
def tab(page, address):
    return Tab(page, address)


@pytest.fixture
def framed(page, address):
    return Tab(page, address, framed=True)


def ask(address, route, **parameters):
    with urlopen(f"{address}/data/plugin/bakeoff/{route}?{urlencode(parameters)}") as answer:
        return json.load(answer)


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def finals(outcomes, metric="val/accuracy", value="final"):
    return {arm: [o["metrics"][metric][value] for o in found] for arm, found in outcomes.items()}


def test_the_table_holds_the_numbers_of_the_records(tab, outcomes, screenshot, tmp_path):
    tab.show("table")
    means = sorted((statistics.fmean(numbers) for numbers in finals(outcomes).values()), reverse=True)
    assert tab.column("mean") == [f"{mean:.4g}".ljust(6, "0") for mean in means]
    assert tab.column("n") == ["2"] * 8
    assert tab.column("diverged") == tab.column("failed") == ["0"] * 8
    assert tab.find("td .rank").all_inner_texts() == [str(i + 1) for i in range(8)]
    close = [
        row["arm"] for row in ask(tab.address, "table", sweep=".", metric="val/accuracy")["rows"] if row["too_close"]
    ]
    expect(tab.find("tr:has-text('≈ too close to call')")).to_have_count(len(close))
    expect(tab.find("#how-to-read")).to_contain_text("Student t")
    expect(tab.find(".status-line")).to_have_text("8 arms, 16 runs: 16 completed")
    tab.choose("value", "best")
    bests = sorted((max(numbers) for numbers in finals(outcomes, value="best").values()), reverse=True)
    assert sorted(tab.column("best"), reverse=True) == [f"{best:.4g}".ljust(6, "0") for best in bests]
    screenshot.take(tab.page, tmp_path / "table.png")


def test_every_column_sorts_by_click_and_by_keyboard(tab):
    tab.show("table")
    for head in tab.find("thead th button").all():
        head.click()
    tab.find("[data-key='sort:mean']").press("Enter")
    expect(tab.find("th[data-column=mean]")).to_have_attribute("aria-sort", "ascending")
    assert tab.column("mean") == sorted(tab.column("mean"))
    tab.find("[data-key='sort:mean']").press("Enter")
    expect(tab.find("th[data-column=mean]")).to_have_attribute("aria-sort", "descending")
    assert tab.column("mean") == sorted(tab.column("mean"), reverse=True)
    tab.find("[data-key='sort:choice:loss']").click()
    expect(tab.find("td[data-column='choice:loss']")).to_have_text(["cross_entropy"] * 4 + ["mse"] * 4)


def test_cells_show_means_bands_and_single_seeds(framed, screenshot, tmp_path):
    tab = framed
    expect(tab.find(".cell")).to_have_count(4)
    expect(tab.find(".legend .item")).to_have_text(["adam", "sgd"])
    assert tab.find(".cell [aria-label=line] path").count() == 8
    assert tab.find(".cell [aria-label=area] path").count() == 8
    first = tab.find(".cell").first
    assert first.get_attribute("aria-label").startswith("loss=cross_entropy, batch_size=16: mean of val/accuracy")
    box = tab.find(".cell [aria-label=line] path").first.bounding_box()
    tab.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 4)
    expect(tab.find(".layer[data-seeds='2']")).to_have_count(1)
    expect(tab.find(".tip")).to_contain_text("optimizer steps")
    expect(tab.find(".tip")).to_contain_text("seeds")
    screenshot.take(tab.page, tmp_path / "curves.png")
    tab.page.mouse.move(2, 2)
    expect(tab.find(".layer")).to_have_count(0)
    tab.find("input[name=seeds]").check()
    tab.drawn()
    assert tab.find(".cell [aria-label=line] path").count() == 8 + 16


def test_a_new_layout_asks_the_server_for_nothing(tab):
    asked = []
    tab.page.on(
        "request",
        lambda request: (
            asked.append(request.url)
            if request.url.split("/")[-1] not in ("sweeps",) and "/version" not in request.url
            else None
        ),
    )
    for name, value, cells in [
        ("rows", "optimizer", 4),
        ("columns", "", 2),
        ("rows", "", 1),
        ("colour", "loss", 1),
        ("columns", "loss", 2),
    ]:
        tab.choose(name, value)
        expect(tab.find(".cell")).to_have_count(cells)
    for name, value in [("scales", "free"), ("xscale", "log"), ("yscale", "log")]:
        tab.choose(name, value)
    assert asked == []
    for axis in ("samples", "epochs", "seconds"):
        tab.choose("axis", axis)
        expect(tab.find(".multiples .axis")).to_contain_text(axis)
    assert len(asked) == 3


def test_a_metric_without_a_curve_or_a_best_value_says_so(tab):
    tab.choose("metric", "test/accuracy")
    expect(tab.find(".empty")).to_contain_text("no curve")
    expect(tab.find("[aria-label='Export CSV']")).to_be_disabled()
    tab.show("table")
    assert len(tab.column("mean")) == 8
    tab.choose("value", "best")
    expect(tab.find(".empty")).to_contain_text("no best")
    tab.choose("metric", "grad/norm")
    expect(tab.find(".empty")).to_contain_text("curve alone")


def test_filters_act_on_every_view(tab):
    tab.find("input[name=optimizer][value=sgd]").uncheck()
    assert tab.find(".cell [aria-label=line] path").count() == 4
    tab.find("[aria-label='none of batch_size']").click()
    expect(tab.find(".empty")).to_contain_text("filtered out")
    tab.find("[aria-label='all of batch_size']").click()
    tab.find("input[name=batch_size][value=full]").uncheck()
    expect(tab.find(".cell")).to_have_count(2)
    tab.show("table")
    assert tab.column("choice:optimizer") == ["adam", "adam"]
    tab.show("heatmap")
    expect(tab.find("[aria-label=cell] rect")).to_have_count(2)


def test_the_heat_map_holds_means_of_means(tab, outcomes):
    tab.show("heatmap")
    tab.choose("down", "optimizer")
    tab.choose("across", "loss")
    cells = defaultdict(list)
    for arm, numbers in finals(outcomes).items():
        choices = outcomes[arm][0]["arm"]
        cells[choices["optimizer"], choices["loss"]].append(statistics.fmean(numbers))
    expected = [
        f"{statistics.fmean(cells[o, loss]):.4g}".ljust(6, "0")
        for o in ("adam", "sgd")
        for loss in ("cross_entropy", "mse")
    ]
    expect(tab.find("g[aria-label=text]").last.locator("text")).to_have_text(expected)
    tab.find("[aria-label=cell] rect").first.hover()
    expect(tab.find(".tip")).to_contain_text("2, 2 with a mean")
    tab.find("[aria-label=cell] rect").first.press("Enter")
    expect(tab.find(".panel section.arm")).to_have_count(2)


def test_the_panel_lists_runs_and_how_to_repeat_them(tab, context, outcomes, screenshot, tmp_path):
    tab.show("table")
    tab.find("tbody tr").first.click()
    panel = tab.find(".panel")
    expect(panel.locator("section.arm tbody tr")).to_have_count(2)
    command = panel.locator(".repeat code").first.inner_text()
    arm = tab.find("tbody tr").first.get_attribute("data-arm")
    assert all(override in command for override in outcomes[arm][0]["overrides"] if "=/" not in override)
    panel.locator(".repeat button").first.click()
    expect(panel.locator(".repeat button").first).to_have_text("copied")
    assert tab.page.evaluate("navigator.clipboard.readText()") == command
    panel.locator("summary:has-text('Configuration of seed 0')").click()
    expect(panel.locator("pre").first).to_contain_text("optimizer:")
    screenshot.take(tab.page, tmp_path / "panel.png")
    with context.expect_page() as opened:
        panel.locator("a").click()
    series = opened.value
    expect(series.locator("runs-data-table tb-data-table-content-row")).to_have_count(2)
    expect(series.locator("metrics-filtered-view card-view")).to_have_count(1)
    names = series.locator("runs-data-table .table-column-run").all_inner_texts()
    assert sorted(names) == ["Run", f"{arm}/seed=0", f"{arm}/seed=1"]


def test_the_panel_of_a_cell_shows_in_what_its_arms_differ(tab):
    tab.find(".cell").first.press("Enter")
    expect(tab.find(".panel h2")).to_have_text("loss=cross_entropy, batch_size=16")
    expect(tab.find(".panel section.arm")).to_have_count(2)
    heads = tab.find(".panel details[data-key=differences] th")
    assert "optimizer" in " ".join(heads.all_inner_texts())
    assert "batch_size" not in heads.all_inner_texts()


def test_everything_works_with_keys_alone(tab):
    tab.find("#tab-curves").focus()
    tab.page.keyboard.press("ArrowRight")
    expect(tab.find("#tab-sensitivity")).to_be_focused()
    tab.page.keyboard.press("ArrowLeft")
    tab.drawn()
    cell = tab.find(".cell").nth(1)
    cell.focus()
    tab.page.keyboard.press("ArrowDown")
    expect(tab.find(".tip")).to_contain_text("adam")
    tab.page.keyboard.press("ArrowDown")
    expect(tab.find(".tip")).to_contain_text("sgd")
    tab.page.keyboard.press("ArrowLeft")
    expect(tab.find(".tip")).to_contain_text("50")
    tab.page.keyboard.press("Enter")
    expect(tab.find(".panel h2")).to_contain_text("optimizer=sgd")
    expect(tab.find(".panel h2")).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(tab.find(".panel")).to_be_hidden()
    expect(cell).to_be_focused()


def test_every_control_has_a_name(tab):
    for view in ("curves", "sensitivity", "heatmap", "table"):
        tab.show(view)
        unnamed = """nodes => nodes.filter(n => n.getClientRects().length)
          .filter(n => !n.ariaLabel && !n.labels?.length && !n.textContent.trim()).map(n => n.outerHTML)"""
        assert tab.find("button, select, input, [role=img], [role=group], svg").evaluate_all(unnamed) == []


def test_a_copied_address_restores_the_view(framed, context):
    tab = framed
    choices = {"metric": "val/loss", "axis": "samples", "yscale": "log"}
    choices |= {"rows": "optimizer", "colour": "loss", "columns": ""}
    for name, value in choices.items():
        tab.choose(name, value)
    tab.find("input[name=loss][value=mse]").uncheck()
    tab.find(".cell").nth(1).press("Enter")
    expect(tab.find(".panel section.arm")).to_have_count(2)
    other = Tab(context.new_page(), tab.address, tab.page.evaluate("location.hash"), framed=True)
    for name, value in choices.items():
        expect(other.find(f"select[name={name}]")).to_have_value(value)
    expect(other.find("input[name=loss][value=mse]")).not_to_be_checked()
    expect(other.find(".panel h2")).to_have_text("optimizer=sgd")
    expect(other.find(".panel section.arm")).to_have_count(2)
    assert other.page.evaluate("location.hash") == tab.page.evaluate("location.hash")


@pytest.mark.long
def test_the_address_outlives_a_visit_to_another_tab(framed):
    tab = framed
    tab.show("table")
    tab.find("[data-key='sort:mean']").click()
    before = tab.page.evaluate("location.hash")
    tab.page.get_by_role("tab", name="Time Series").click()
    tab.page.wait_for_function("location.hash.startsWith('#timeseries')")
    # what the tab itself looks at before it asks the server again
    assert tab.find("main").evaluate("() => window.innerHeight") == 0
    tab.page.get_by_role("tab", name="bakeoff").click()
    tab.page.wait_for_function("hash => location.hash === hash", arg=before)
    expect(tab.find("th[data-column=mean]")).to_have_attribute("aria-sort", "ascending")


def test_an_edited_address_changes_the_view(tab):
    tab.page.evaluate("location.hash = location.hash + '&p.bakeoff.view=heatmap'")
    expect(tab.find("#tab-heatmap")).to_have_attribute("aria-selected", "true")


def test_a_stale_address_shows_what_there_is(page, address):
    tab = Tab(
        page,
        address,
        "#bakeoff&p.bakeoff.sweep=gone&p.bakeoff.metric=gone&p.bakeoff.rows=gone&p.bakeoff.arm=gone&p.bakeoff.hide.loss=gone",
    )
    expect(tab.find(".cell")).to_have_count(4)
    expect(tab.find(".panel")).to_be_hidden()


def test_exports_hold_the_servers_numbers(tab, tmp_path):
    names = {arm["id"]: arm["name"] for arm in ask(tab.address, "sweep", sweep=".")["arms"]}
    curves = ask(tab.address, "curves", sweep=".", metric="val/accuracy", axis="steps")
    written = rows(tab.download("CSV", tmp_path))
    expected = [
        (names[c["arm"]], *point)
        for c in curves["arms"]
        for point in zip(*(c[key] for key in ("x", "mean", "low", "high", "n")), strict=True)
    ]
    assert [
        (row["arm"], *(float(row[key]) for key in ("x", "mean", "low", "high", "n"))) for row in written
    ] == expected
    assert {row["optimizer"] for row in written} == {"adam", "sgd"}

    tab.show("table")
    table = {names[row["arm"]]: row for row in ask(tab.address, "table", sweep=".", metric="val/accuracy")["rows"]}
    written = rows(tab.download("CSV", tmp_path))
    assert [int(row["rank"]) for row in written] == list(range(1, 9))
    for row in written:
        assert [float(row[key]) for key in ("mean", "low", "high", "best")] == [
            table[row["arm"]][key] for key in ("mean", "low", "high", "best")
        ]
        assert row["too_close"] == str(table[row["arm"]]["too_close"]).lower()

    tab.show("heatmap")
    assert {row["arms"] for row in rows(tab.download("CSV", tmp_path))} == {"2"}


@pytest.mark.parametrize("view", ["curves", "heatmap"])
def test_pictures_are_whole_and_stand_alone(tab, tmp_path, view):
    tab.show(view)
    path = tab.download("SVG", tmp_path)
    drawing = ElementTree.parse(path).getroot()
    assert drawing.tag == f"{SVG}svg"
    texts = " ".join(text for node in drawing.iter(f"{SVG}text") if (text := "".join(node.itertext())))
    assert "batch_size" in texts
    assert "loss" in texts
    assert "var(--" not in path.read_text() or "--plot-background" in path.read_text()
    assert len(list(drawing.iter(f"{SVG}path"))) >= (16 if view == "curves" else 0)
    picture = tab.download("PNG", tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 5_000


def test_dark_mode_follows_tensorboard(framed, screenshot, tmp_path):
    tab = framed
    tab.show("heatmap")
    background = "getComputedStyle(document.body).backgroundColor"
    light = tab.find("body").evaluate(background)
    tab.page.evaluate("document.body.classList.add('dark-mode')")
    expect(tab.find("html.dark")).to_have_count(1)
    assert tab.find("body").evaluate(background) != light
    screenshot.take(tab.page, tmp_path / "dark.png")
    tab.page.evaluate("document.body.classList.remove('dark-mode')")
    expect(tab.find("html.dark")).to_have_count(0)
    assert tab.find("body").evaluate(background) == light


def test_a_scale_that_can_show_nothing_says_so(tab):
    tab.page.route("**/curves?*", lambda route: route.fulfill(json=negative(route.fetch().json())))
    tab.choose("metric", "val/loss")
    expect(tab.find(".cell")).to_have_count(4)
    tab.choose("yscale", "log")
    expect(tab.find(".empty")).to_contain_text("No curve to draw")


def negative(curves):
    for arm in curves["arms"]:
        arm |= {key: [-1 for _ in arm["x"]] for key in ("mean", "low", "high")}
    return curves


def test_an_error_of_the_server_is_shown(tab, errors):
    tab.page.route(
        "**/table?*",
        lambda route: route.fulfill(
            status=400, content_type="application/json", body='{"error": "no <b>such</b> metric"}'
        ),
    )
    tab.show("table")
    expect(tab.find(".notice")).to_have_text("no <b>such</b> metric")
    tab.page.unroute("**/table?*")
    tab.choose("value", "best")
    expect(tab.find("tbody tr")).to_have_count(8)
    assert "400" in errors.pop()


@pytest.mark.long
def test_a_server_that_is_gone_and_back_is_noticed(tab, errors):
    tab.page.route("**/version?*", lambda route: route.abort())
    expect(tab.find(".notice")).to_contain_text("does not answer")
    expect(tab.find(".cell")).to_have_count(4)
    tab.page.unroute("**/version?*")
    expect(tab.find(".notice")).to_have_count(0)
    assert all("ERR_FAILED" in error for error in errors)
    errors.clear()


# A synthetic sweep: numbers in a choice, hostile names everywhere, runs that diverged, failed and cannot be read.


def write_run(sweep: Path, template: Path, folder: str, seed: int, arm: dict, **changes) -> Path:
    """A copy of a real run as another arm's."""
    run = sweep / folder / f"seed={seed}"
    shutil.copytree(template, run)
    if changes.get("status") == "running":
        assert acquire(run)  # until these tests end
    outcome = (
        json.loads((run / "outcome.json").read_text())
        | {"arm": arm, "seed": seed, "identity": f"{folder}{seed}"}
        | changes
    )
    outcome["overrides"] = [f"{key}={value}" for key, value in arm.items()]
    (run / "outcome.json").write_text(json.dumps(outcome))
    return run


@pytest.fixture(scope="module")
def hostile(screenshot, small_sweep, tmp_path_factory):
    """A logdir with a sweep of hostile names, and its address."""
    logdir = tmp_path_factory.mktemp("hostile")
    sweep = logdir / "a b & ü"
    template = next(small_sweep.glob("*/seed=0"))
    for index, (name, lr) in enumerate((name, lr) for name in (HOSTILE, '"; drop', "日本") for lr in (0.001, 0.1)):
        for seed in (0, 1):
            bad = {
                "status": "diverged",
                "error": {"type": "Diverged", "message": HOSTILE, "step": 7, "traceback": HOSTILE},
            }
            write_run(
                sweep,
                template,
                f"arm {index} é",
                seed,
                {"name": name, "optimizer.lr": lr},
                **(bad if index == 3 else {}),
            )
    (sweep / "arm 0 é" / "seed=1" / "outcome.json").write_text("{")
    with screenshot.tensorboard(logdir) as address:
        yield address


def test_hostile_names_are_text(page, hostile, screenshot, tmp_path):
    tab = Tab(page, hostile)
    expect(tab.find("select[name=sweep] option")).to_have_text(["a b & ü"])
    expect(tab.find(".status-line")).to_have_text("6 arms, 12 runs: 9 completed, 2 diverged, 1 unreadable")
    expect(tab.find(".notice").first).to_contain_text("arm 0 é/seed=1")
    for view in ("curves", "sensitivity", "heatmap", "table"):
        tab.show(view)
        expect(tab.find("img")).to_have_count(0)
        expect(tab.find(".view")).to_contain_text("日本")
        screenshot.take(page, tmp_path / f"hostile-{view}.png")
    tab.find("tr:has-text('drop'):has(td.bad)").click()
    expect(tab.find(".panel .error").first).to_contain_text(f"Diverged at step 7{HOSTILE}")
    tab.find("tr:has(td[data-column=unreadable].bad)").click()
    expect(tab.find(".panel td.reason")).to_contain_text("not valid JSON")
    tab.find(f"input[name=name][value={json.dumps(HOSTILE)}]").uncheck()
    expect(tab.find(".arms tbody tr")).to_have_count(4)
    tab.page.reload()
    tab.drawn()
    assert tab.find(f"input[name=name][value={json.dumps(HOSTILE)}]").is_checked() is False
    expect(tab.find("img")).to_have_count(0)


def test_sensitivity_draws_a_line_for_each_family(page, hostile, tmp_path):
    tab = Tab(page, hostile)
    tab.show("sensitivity")
    expect(tab.find("select[name=against]")).to_have_value("optimizer.lr")
    expect(tab.find("select[name=against_scale]")).to_have_value("log")
    expect(tab.find("[aria-label=dot] circle")).to_have_count(5)
    expect(tab.find("[aria-label=line] path")).to_have_count(3)
    expect(tab.find(".caption")).to_contain_text("no mean")
    table = {row["arm"]: row for row in ask(hostile, "table", sweep="a b & ü", metric="val/accuracy")["rows"]}
    written = rows(tab.download("CSV", tmp_path))
    assert sorted(float(row["mean"]) for row in written) == sorted(
        row["mean"] for row in table.values() if row["mean"] is not None
    )
    assert {row["name"] for row in written} == {HOSTILE, '"; drop', "日本"}
    tab.find("[aria-label=dot] circle").last.hover()
    expect(tab.find(".tip")).to_contain_text("optimizer.lr")
    tab.find("[aria-label=dot] circle").first.press("Enter")
    expect(tab.find(".panel section.arm")).to_have_count(1)


def test_a_heat_map_says_why_a_cell_has_no_number(page, hostile):
    tab = Tab(page, hostile)
    tab.show("heatmap")
    tab.choose("down", "name")
    tab.choose("across", "optimizer.lr")
    expect(tab.find("svg")).to_contain_text("2 diverged")


def test_it_follows_a_running_sweep(page, screenshot, small_sweep, tmp_path):
    """Starts with nothing at all, and keeps focus and state when runs are added."""
    template = next(small_sweep.glob("*/seed=0"))
    logdir = tmp_path / "logdir"
    sweep = logdir / "running"
    logdir.mkdir()
    with screenshot.tensorboard(logdir) as address:
        page.goto(f"{address}/data/plugin_entry.html?name=bakeoff")
        expect(page.locator(".empty")).to_contain_text("No sweep")
        write_run(sweep, template, "a", 0, {"optimizer": "sgd"})
        expect(page.locator(".status-line")).to_have_text("1 arm, 1 run: 1 completed")
        page.locator("#tab-table").click()
        page.locator("[data-key='sort:mean']").focus()
        write_run(sweep, template, "b", 0, {"optimizer": "adam"}, status="running")
        expect(page.locator(".status-line")).to_have_text("2 arms, 2 runs: 1 completed, 1 running")
        expect(page.locator("tbody tr")).to_have_count(2)
        expect(page.locator("[data-key='sort:mean']")).to_be_focused()
        expect(page.locator("#tab-table")).to_have_attribute("aria-selected", "true")


@pytest.mark.long
def test_choices_that_come_later_get_their_controls_unless_somebody_chose_others(
    page, screenshot, small_sweep, tmp_path
):
    first, *others = sorted(small_sweep.glob("*=*"))
    shutil.copytree(first, tmp_path / "sweep" / first.name)
    with screenshot.tensorboard(tmp_path / "sweep") as address:
        tab = Tab(page, address)
        expect(tab.find("select[name=rows]")).to_have_value("")
        for arm in others:
            shutil.copytree(arm, tmp_path / "sweep" / arm.name)
        expect(tab.find("select[name=rows]")).to_have_value("loss")
        expect(tab.find("select[name=columns]")).to_have_value("batch_size")
        expect(tab.find("select[name=colour]")).to_have_value("optimizer")
        tab.choose("rows", "")
        page.reload()
        expect(tab.find("select[name=columns]")).to_have_value("batch_size")
        expect(tab.find("select[name=rows]")).to_have_value("")


@pytest.mark.long
def test_a_sweep_that_is_not_there_is_named_and_shown_when_it_comes(page, screenshot, small_sweep, tmp_path):
    shutil.copytree(small_sweep, tmp_path / "one")
    with screenshot.tensorboard(tmp_path) as address:
        tab = Tab(page, address, "#bakeoff&p.bakeoff.sweep=two&p.bakeoff.view=table")
        expect(tab.find(".notice").first).to_contain_text("There is no sweep two here")
        shutil.copytree(small_sweep, tmp_path / "two")
        expect(tab.find("select[aria-label=Sweep], header select").first).to_have_value("two")
        expect(tab.find("#tab-table")).to_have_attribute("aria-selected", "true")


@pytest.mark.long
def test_a_first_run_is_seen_while_it_is_trained(page, screenshot, small_sweep, tmp_path):
    arm = next(small_sweep.glob("*=*"))
    shutil.copytree(arm / "seed=0", tmp_path / "sweep" / arm.name / "seed=0")
    record = tmp_path / "sweep" / arm.name / "seed=0" / "outcome.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"status": "running"}))
    with acquire(record.parent), screenshot.tensorboard(tmp_path / "sweep") as address:
        tab = Tab(page, address)
        expect(tab.find(".cell svg path[d]").first).to_be_attached()
        expect(tab.find(".notice").first).to_contain_text("1 without a whole curve")


@pytest.fixture(scope="module")
def own_metric(screenshot, tmp_path_factory):
    """A logdir with two sweeps of one metric of a user's own: only `stated` says that lower is better."""
    logdir = tmp_path_factory.mktemp("own")
    for sweep, direction in (("silent", None), ("stated", "min")):
        for optimizer, loss, value in (("sgd", "a", 9.7), ("sgd", "b", 1.4), ("adam", "a", 2.5), ("adam", "b", 3.5)):
            arm = {"optimizer": optimizer, "loss": loss}
            run = logdir / sweep / folder_name(arm) / "seed=0"
            file = EventFile(run)
            for step in (10, 20):
                file.scalars({"val/perplexity": value + 20 - step}, step)
            file.close()
            outcome = Outcome(arm, 0, f"{sweep}{arm}", [], status="completed", steps=20)
            outcome.metric, outcome.metric_direction = "val/perplexity", direction
            best = {"best": value, "best_step": 20} if direction else {}
            outcome.metrics = {"val/perplexity": {"final": value, **best}}
            outcome.write(run)
    with screenshot.tensorboard(logdir) as address:
        yield address


UNKNOWN = "it is not known whether val/perplexity is better small or large"


def test_a_metric_without_a_direction_has_no_rank_no_best_and_says_why(page, own_metric, screenshot, tmp_path):
    tab = Tab(page, own_metric, "#bakeoff&p.bakeoff.sweep=silent")
    assert "Ends between" in tab.find(".cell").first.get_attribute("aria-label")
    tab.show("table")
    assert tab.find("td .rank").all_inner_texts() == tab.column("best") == ["–"] * 4
    assert tab.column("choice:optimizer") == ["adam", "adam", "sgd", "sgd"]  # by name, not by mean
    expect(tab.find("tr.first, tr.close")).to_have_count(0)
    expect(tab.find("#how-to-read")).to_contain_text(f"No rank here: {UNKNOWN}.")
    expect(tab.find("#how-to-read")).not_to_contain_text("is better.")
    screenshot.take(page, tmp_path / "unranked.png")
    tab.find("tbody tr").first.click()
    expect(tab.find(".panel section.arm th")).to_have_text(
        ["seed", "status", "final val/perplexity", "steps", "seconds"]
    )
    tab.choose("value", "best")
    expect(tab.find(".empty")).to_contain_text(f"no best ones: {UNKNOWN}")
    tab.choose("value", "final")
    tab.show("heatmap")
    expect(tab.find(".caption")).to_contain_text(f"Larger is darker; {UNKNOWN}.")
    fills = tab.find("[aria-label=cell] rect").evaluate_all("nodes => nodes.map(node => node.getAttribute('fill'))")
    for red, green, blue in (re.findall(r"\d+", fill) for fill in fills):
        assert red == green == blue


def test_a_stated_direction_ranks_and_colours(page, own_metric):
    tab = Tab(page, own_metric, "#bakeoff&p.bakeoff.sweep=stated")
    assert "Best at the end" in tab.find(".cell").first.get_attribute("aria-label")
    tab.show("table")
    assert tab.column("mean") == ["1.400", "2.500", "3.500", "9.700"]
    assert tab.find("td .rank").all_inner_texts() == ["1", "2", "3", "4"]
    expect(tab.find("#how-to-read")).to_contain_text("Lower is better.")
    tab.show("heatmap")
    expect(tab.find(".caption")).to_contain_text("Lower is better, and darker.")
