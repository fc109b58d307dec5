"""The real TensorBoard in a real browser: every run, every curve, and the numbers of the records."""

import json
import re
import time
from urllib.parse import quote
from urllib.request import urlopen

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from bakeoff.overview import time_series
from bakeoff.report.arms import group_arms
from bakeoff.report.records import read_sweep

TAGS = ["val/accuracy", "train/loss", "test/accuracy", "lr", "grad/norm", "update/ratio"]
TAGS += [f"time/{phase}" for phase in ("forward", "loss", "backward", "update")]

pytestmark = [pytest.mark.chromium, pytest.mark.long]
expect.set_options(timeout=60_000)  # milliseconds; this machine may be busy


@pytest.fixture(scope="module")
def address(screenshot, small_sweep, outcomes):
    with screenshot.tensorboard(small_sweep) as address:
        wait_for_curves(address, set(outcomes), {run.split("/")[0] for run in outcomes})
        yield address


def wait_for_curves(address, runs, arms, seconds=60):
    """TensorBoard lists a run before it has read its curves, and a page that is open does not ask again."""
    until = time.monotonic() + seconds
    while True:
        with urlopen(f"{address}/data/plugin/scalars/tags") as answer:
            tags = json.load(answer)
        missing = {run for run in runs if not {"val/accuracy", "lr"} <= set(tags.get(run, ()))}
        of_arms = {arm: set(tags.get(arm, ())) for arm in arms}
        missing |= {arm for arm, found in of_arms.items() if not found or found != max(of_arms.values(), key=len)}
        if not missing:
            return
        assert time.monotonic() < until, missing
        time.sleep(0.1)


@pytest.fixture
def page(screenshot, chromium):
    """A page that fails the test when it reports an error."""
    with screenshot.browser_page(chromium) as page:
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        assert errors == []


@pytest.fixture(scope="module")
def outcomes(small_sweep):
    """Run, as TensorBoard names it -> its outcome."""
    paths = small_sweep.glob("*/seed=*/outcome.json")
    return {f"{path.parts[-3]}/{path.parts[-2]}": json.loads(path.read_text()) for path in paths}


def test_time_series_shows_every_run_and_every_curve(screenshot, address, page: Page, outcomes, tmp_path):
    screenshot.open_time_series(page, address, tagFilter=f"^({'|'.join(TAGS)})$", runFilter="/seed=", smoothing="0")
    runs = page.locator("runs-data-table tb-data-table-content-row")
    expect(runs.locator(".table-column-run")).to_have_text(sorted(outcomes))
    expect(runs.locator("input:checked")).to_have_count(len(outcomes))

    cards = page.locator("metrics-filtered-view card-view")
    expect(cards).to_have_count(len(TAGS))
    titles = []
    for card in cards.all():
        card.scroll_into_view_if_needed()  # a card out of sight stays empty
        titles.append(card.locator("tb-truncated-path").get_attribute("title"))
        # the table below a chart has one row for each run that has a point
        expect(card.locator("tb-data-table-content-row")).to_have_count(len(outcomes))
    assert sorted(titles) == sorted(TAGS)
    screenshot.take(page, tmp_path / "time-series.png")


def test_tensorboard_serves_the_numbers_of_the_records(address, page: Page, outcomes):
    runs = [run for run in page.request.get(f"{address}/data/runs").json() if "/seed=" in run]
    assert sorted(runs) == sorted(outcomes)
    tags = sorted({tag for outcome in outcomes.values() for tag in outcome["metrics"]})
    wanted = json.dumps([{"plugin": "scalars", "tag": tag} for tag in tags])
    answer = page.request.post(f"{address}/data/plugin/timeseries/timeSeries", multipart={"requests": wanted}).json()
    for tag, curves in zip(tags, answer, strict=True):
        last = {run: (points[-1]["step"], points[-1]["value"]) for run, points in curves["runToSeries"].items()}
        # event files hold float32
        finals = {run: (o["steps"], float(np.float32(o["metrics"][tag]["final"]))) for run, o in outcomes.items()}
        assert last == finals, tag


def test_hparams_shows_one_row_an_arm(screenshot, address, page: Page, outcomes, tmp_path):
    screenshot.open_hparams(page, address)
    cells = page.locator("tf-hparams-table-view vaadin-grid-cell-content").all_inner_texts()
    arms = {run.split("/")[0] for run in outcomes}
    assert arms <= set(cells)
    assert {"optimizer", "loss", "batch_size", "samples_per_step", "val/accuracy (final)"} <= set(cells)
    means = [np.mean([o["metrics"]["val/accuracy"]["final"] for r, o in outcomes.items() if r.startswith(f"{arm}/")])
             for arm in arms]  # fmt: skip
    shown = [float(cell) for cell in cells if re.fullmatch(r"[\d.]+(e-\d+)?", cell)]
    for mean in means:
        assert min(abs(value - mean) for value in shown) < 1e-4  # TensorBoard shows 5 digits
    screenshot.take(page, tmp_path / "hparams.png")


def test_custom_scalars_lay_all_arms_over_each_other(screenshot, address, page: Page, outcomes, tmp_path):
    page.goto(f"{address}/#custom_scalars&regexInput={quote('^(?!.*/seed=)')}")
    charts = page.locator("tf-custom-scalar-margin-chart-card")
    expect(charts).to_have_count(6)  # those against optimizer steps; the other categories are closed
    arms = len({run.split("/")[0] for run in outcomes})
    for chart in charts.all():
        expect(chart).to_contain_text(f"Matches ({arms})")
    expect(charts.first).to_contain_text("val/accuracy")
    screenshot.take(page, tmp_path / "custom-scalars.png")


def test_leaderboard_and_pictures_of_the_sweep_are_shown(address, page: Page, tmp_path):
    root = quote("^\\.$")
    page.goto(f"{address}/#text&regexInput={root}")
    expect(page.locator("tf-text-loader")).to_contain_text("16 completed")
    page.goto("about:blank")
    page.goto(f"{address}/#images&regexInput={root}")
    picture = page.locator("tf-image-loader img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("node => node.decode().then(() => node.naturalWidth)") > 300


def test_the_printed_link_shows_the_runs_in_their_colours(screenshot, address, page: Page, small_sweep, outcomes):
    link = time_series(group_arms(read_sweep(small_sweep).records), "val/accuracy")
    page.goto(link.replace("http://localhost:6006", address))
    page.wait_for_selector("metrics-filtered-view line-chart")
    expect(page.locator("metrics-filtered-view card-view")).to_have_count(1)
    rows = page.locator("runs-data-table tb-data-table-content-row")
    expect(rows).to_have_count(len(outcomes))
    colours = {}
    for row in rows.all():
        swatch = row.locator(".run-color-swatch").evaluate("node => node.style.background")
        colours.setdefault("adam" in row.inner_text(), set()).add(swatch)
    assert [len(colours[one]) for one in (True, False)] == [1, 1]
    assert colours[True] != colours[False]


def test_the_screenshot_script_takes_pictures(screenshot, small_sweep, chromium, tmp_path):
    screenshot.main([str(small_sweep), str(tmp_path), "--chromium", chromium])
    pictures = list(tmp_path.glob("*.png"))
    assert len(pictures) == 3
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert 20_000 < picture.stat().st_size < 500_000  # an empty page compresses to less
