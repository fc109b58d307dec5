"""The real TensorBoard in a real browser: every run, every curve, and the numbers of the records."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "screenshot.py"
TAGS = ["val/accuracy", "train/loss", "test/accuracy", "lr", "grad/norm", "update/ratio"]
TAGS += [f"time/{phase}" for phase in ("forward", "loss", "backward", "update")]

pytestmark = pytest.mark.chromium
expect.set_options(timeout=20_000)  # milliseconds; this machine may be busy


@pytest.fixture(scope="module")
def screenshot():
    spec = importlib.util.spec_from_file_location("screenshot", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def address(screenshot, small_sweep):
    with screenshot.tensorboard(small_sweep) as address:
        yield address


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
    screenshot.open_time_series(page, address, tagFilter=f"^({'|'.join(TAGS)})$", smoothing="0")
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
    assert sorted(page.request.get(f"{address}/data/runs").json()) == sorted(outcomes)
    tags = sorted({tag for outcome in outcomes.values() for tag in outcome["metrics"]})
    wanted = json.dumps([{"plugin": "scalars", "tag": tag} for tag in tags])
    answer = page.request.post(f"{address}/data/plugin/timeseries/timeSeries", multipart={"requests": wanted}).json()
    for tag, curves in zip(tags, answer, strict=True):
        last = {run: (points[-1]["step"], points[-1]["value"]) for run, points in curves["runToSeries"].items()}
        # event files hold float32
        finals = {run: (o["steps"], float(np.float32(o["metrics"][tag]["final"]))) for run, o in outcomes.items()}
        assert last == finals, tag


def test_the_screenshot_script_takes_a_picture(screenshot, small_sweep, chromium, tmp_path):
    picture = tmp_path / "picture.png"
    screenshot.main([str(small_sweep), str(picture), "--chromium", chromium])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert 20_000 < picture.stat().st_size < 500_000  # an empty page compresses to less
