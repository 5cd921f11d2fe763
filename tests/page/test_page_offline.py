"""The page without its server, and with a newer one."""
from conftest import Server, go, rows, until


def listen_again(models, port, *args):
    return Server(models, "--listen", f"127.0.0.1:{port}", *args)


def ready(page):
    """Waits until the worker has kept the page."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")


def test_page_works_without_its_server(watch, models):
    watch.expect("ERR_CONNECTION_REFUSED", "Failed to load resource",
                 "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
    page = watch.page(workers="allow")
    server = Server(models)
    port = server.port
    url = f"http://{server.at}"
    try:
        go(page, url, "detect")
        ready(page)
    finally:
        server.stop()
    page.reload()
    page.wait_for_selector('.server[data-state="gone"]', state="attached")
    until(page, lambda: "cannot be reached" in " ".join(
        page.evaluate("window.said")))
    # All of it is there: pages, pictures, styles.
    for name in ("Recognise", "Segment", "Describe", "Disaster", "API", "About",
                 "Detect"):
        page.locator(".pages").get_by_role("link", name=name).click()
        until(page, lambda name=name:
              page.locator("h1:visible").inner_text() == name)
    assert page.evaluate(
        "getComputedStyle(document.querySelector('.bar')).position") == \
        "sticky"
    page.get_by_role("button", name="A street").click()
    page.wait_for_selector("#trouble:not([hidden])")
    text = page.inner_text("#trouble-text")
    assert "cannot be reached" in text and "stays here" in text
    assert page.locator("#stage canvas").is_visible()
    with listen_again(models, port):
        page.get_by_role("button", name="Try again").click()
        page.wait_for_selector("#found:not([hidden])")
        assert "stop sign" in [r[0] for r in rows(page)]
        page.evaluate("dispatchEvent(new Event('online'))")
        page.wait_for_selector('.server[data-state="ready"]',
                               state="attached")
        assert page.is_hidden("#trouble")


def test_page_can_be_installed(watch, url):
    """Chromium's own list of what is missing for that."""
    page = watch.page(workers="allow")
    go(page, url, "detect")
    ready(page)
    session = page.context.new_cdp_session(page)
    errors = session.send("Page.getInstallabilityErrors")[
        "installabilityErrors"]
    # Windows of their own history (Playwright's all are) may install nothing.
    assert [e["errorId"] for e in errors
            if e["errorId"] != "in-incognito"] == [], errors
    manifest = session.send("Page.getAppManifest")
    assert not manifest["errors"] and manifest["url"].endswith(
        "/manifest.webmanifest")
