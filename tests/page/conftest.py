"""The page of `ocelli serve` in a real Chromium.

A test gets `page`, opened nowhere yet, and `url`.  Whatever a test does, its
page must have no error in the console and nothing that its policy forbids.

OC_CHROMIUM names another browser; OC_PAGE_SHOTS=1 writes docs/img anew.
"""
import io
import os
import shutil
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "oracle"))

from PIL import Image  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402
from server_process import SHARED, Server, fresh_folder, save  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402
from onnx import helper  # noqa: E402

expect.set_options(timeout=30000)  # machines are busy at times

WEB = os.path.join(HERE, "..", "..", "server", "web")
MODELS = ("yolox_nano_coco", "mobilenet_v2_imagenet_nhwc",
          "deeplabv3_mobilenet_v2_voc")
PAGES = ("recognise", "detect", "segment", "describe", "disaster", "api",
         "about")
DIALOGS = ("settings", "help", "info", "menu", "shot", "front")


def chromium():
    names = [os.environ.get("OC_CHROMIUM"), "chromium", "chromium-browser",
             "google-chrome"]
    return next((p for p in map(shutil.which, filter(None, names)) if p),
                None)


def pytest_collection_modifyitems(items):
    why = None
    if not chromium():
        why = "no Chromium"
    elif not all(os.path.exists(model_file(m)) for m in MODELS):
        why = f"no models in {SHARED}"
    for item in items:
        if why:
            item.add_marker(pytest.mark.skip(reason=why))


# ---- models ----------------------------------------------------------------

def model_file(name):
    return os.path.join(SHARED, "models", name + ".onnx")


def damage_model(folder):
    """A toy that calls a tile damaged where it is more red than green.

    The page has to show what a model says; this one says the true thing of
    the two sample tiles, which are grass before and mud after the flood.
    """
    names = ["no damage", "damage"]
    weights = np.array([[-60, 60], [60, -60], [0, 0]], np.float32)
    save(helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["x"], ["p"]),
         helper.make_node("Flatten", ["p"], ["f"]),
         helper.make_node("MatMul", ["f", "w"], ["y"])], "damage",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT,
                                       [1, 3, 64, 64])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor("w", onnx.TensorProto.FLOAT, [3, 2],
                            weights.tobytes(), raw=True)]),
         os.path.join(folder, "tile_damage", "1", "model.onnx"))
    card = {"ocelli": 1, "name": "tile_damage", "task": "classify",
            "labels": names, "license": "Apache-2.0",
            "source": "made by tests/page/conftest.py",
            "input": {"layout": "nchw", "color": "rgb", "size": [64, 64],
                      "resize": "stretch", "scale": 1 / 255},
            "decode": {"kind": "logits"}}
    import json
    with open(os.path.join(folder, "tile_damage", "1", "model.card.json"),
              "w") as f:
        json.dump(card, f)


@pytest.fixture(scope="session")
def models():
    folder = fresh_folder()
    for name in MODELS:
        os.symlink(os.path.abspath(model_file(name)),
                   os.path.join(folder, name + ".onnx"))
    damage_model(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(models):
    with Server(models) as s:
        yield s


@pytest.fixture(scope="session")
def url(server):
    return f"http://{server.at}"


# ---- the browser -----------------------------------------------------------

def camera_film(folder):
    """What the camera sees: a street, then nothing, four seconds each."""
    path = os.path.join(folder, "camera.mjpeg")
    street = Image.open(os.path.join(WEB, "samples", "street.webp")).resize(
        (720, 480))
    other = Image.new("RGB", street.size, (120, 120, 118))
    with open(path, "wb") as f:
        for image in (street, other):
            data = io.BytesIO()
            image.convert("RGB").save(data, "JPEG", quality=90)
            f.write(data.getvalue() * 120)
    return path


@pytest.fixture(scope="session")
def browser():
    folder = fresh_folder()
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=chromium(), args=[
            "--no-sandbox",  # root, in containers
            "--disable-gpu",  # there is none; its imitation is slow
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={camera_film(folder)}"])
        yield b
        b.close()
    shutil.rmtree(folder, ignore_errors=True)


# Chromium in a container has no voices; what would be spoken is written down.
VOICE = """
window.spoken = [];
Object.defineProperty(window, "speechSynthesis", {value: {
  getVoices: () => [
    {voiceURI: "a", name: "Ada", lang: "en-GB"},
    {voiceURI: "b", name: "Ben", lang: "en-US"}],
  speak: (u) => window.spoken.push(
    {text: u.text, rate: u.rate, voice: u.voice?.name ?? null}),
  cancel: () => window.spoken.push("silence"),
  addEventListener: () => {},
}});
window.SpeechSynthesisUtterance = class {
  constructor(text) { this.text = text; }
};
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) =>
  window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
// Everything live regions say, in order.
window.said = [];
new MutationObserver((list) => list.forEach(({target}) => {
  const region = target.closest?.('[role="status"], [role="alert"]');
  if (region?.textContent) window.said.push(region.textContent);
})).observe(document, {subtree: true, childList: true, characterData: true});
"""


class Watch:
    """Pages that must have nothing to complain of."""

    def __init__(self, browser):
        self.browser = browser
        self.contexts, self.pages = [], []
        self.errors, self.expected = [], ["Service Worker registration"]

    def context(self, size=(1280, 800), workers="block", **how):
        c = self.browser.new_context(
            service_workers=workers,  # takes time; test_page_offline allows it
            reduced_motion="reduce",
            viewport={"width": size[0], "height": size[1]},
            permissions=["camera", "clipboard-read", "clipboard-write"],
            accept_downloads=True, **how)
        c.set_default_timeout(30000)
        c.add_init_script(VOICE)
        self.contexts.append(c)
        return c

    def page(self, **how):
        return self.look_at(self.context(**how).new_page())

    def look_at(self, page):
        # From the start: a chooser that opens while Playwright begins to
        # listen is lost.
        page.on("filechooser", lambda _: None)
        page.on("console", self.on_console)
        page.on("pageerror", self.on_error)
        self.pages.append(page)
        return page

    def on_console(self, message):
        if message.type in ("error", "warning"):
            self.errors.append(f"console: {message.text} {message.location}")

    def on_error(self, error):
        self.errors.append(f"error: {error}")

    def expect(self, *texts):
        """Complaints with these in them are what the test is about."""
        self.expected += texts

    def end(self):
        bad = []
        for p in self.pages:
            bad += p.evaluate("window.violations ?? []")
            p.remove_listener("console", self.on_console)
            p.remove_listener("pageerror", self.on_error)
        for c in self.contexts:
            c.close()
        bad += [e for e in self.errors
                if not any(t in e for t in self.expected)]
        assert not bad, bad


@pytest.fixture
def watch(browser):
    w = Watch(browser)
    yield w
    w.end()


@pytest.fixture(scope="session")
def shared_page(browser):
    w = Watch(browser)
    return w.context().new_page()


@pytest.fixture
def page(watch, shared_page):
    """One for all tests, since a new one costs more than most of them do;
    each finds it as if it were new."""
    shared_page.goto("about:blank")  # or only the fragment would change
    shared_page.emulate_media(color_scheme="light")
    yield watch.look_at(shared_page)
    if shared_page.url.startswith("http"):
        shared_page.evaluate("""() => {
          localStorage.clear();
          sessionStorage.clear();
        }""")


# ---- what several tests do -------------------------------------------------

def go(page, url, name, state="ready"):
    """Opens a page once the server's state is known."""
    page.goto(f"{url}/#/{name}")
    page.wait_for_selector(f'.server[data-state="{state}"]', state="attached")


def sample(page, title):
    page.get_by_role("button", name=title, exact=True).click()
    page.wait_for_selector("#found:not([hidden])")


def rows(page, table="#table"):
    """The table's texts."""
    return page.eval_on_selector_all(
        f"{table} tbody tr",
        "list => list.map(r => [...r.cells].map(c => c.innerText.trim()))")


def until(page, what, seconds=40):
    """What a function gives once it gives something; machines are busy."""
    for _ in range(seconds * 10):
        got = what()
        if got:
            return got
        page.wait_for_timeout(100)
    raise AssertionError("it did not happen")


def escape(page):
    """Presses it, and waits for the dialog to be gone, if there was one."""
    page.keyboard.press("Escape")
    until(page, lambda: page.locator("dialog[open]").count() == 0)


def spoken(page):
    return page.evaluate(
        "window.spoken.filter(s => s !== 'silence').map(s => s.text)"
        ".join(' ')")


def open_dialog(page, name):
    page.evaluate("""async (id) => {
      if (id === "shot") (await import("/js/shot.js")).openShot(() => {});
      else if (id === "info") document.querySelector("#details").click();
      else (await import("/js/dialogs.js")).openDialog(id);
    }""", name)
    page.wait_for_selector(f"#{name}[open]")
