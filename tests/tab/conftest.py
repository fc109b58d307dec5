"""A browser for each file of tests, and pages that fail their test when they report an error."""

import pytest
from playwright.sync_api import expect

expect.set_options(timeout=60_000)  # milliseconds; this machine may be busy


@pytest.fixture(scope="module")
def browser(screenshot, chromium):
    """Closed with the file: another file's Playwright cannot start beside this one."""
    with screenshot.browser_page(chromium) as page:
        yield page.context.browser


@pytest.fixture
def context(browser):
    with browser.new_context(viewport={"width": 1600, "height": 900}, accept_downloads=True) as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield context


@pytest.fixture
def errors():
    """What a page has reported; a test that expects an error takes it out."""
    return []


@pytest.fixture
def page(context, errors):
    context.on("page", lambda page: watch(page, errors))
    yield context.new_page()
    assert errors == []


def watch(page, errors):
    def hear(message):
        address = message.location.get("url", "")
        # the browser's own question, where the tab is opened without TensorBoard around it
        if message.type == "error" and not address.endswith("/favicon.ico"):
            errors.append(f"{message.text} ({address})")

    page.on("console", hear)
    page.on("pageerror", lambda error: errors.append(str(error)))
