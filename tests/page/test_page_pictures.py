"""Each page by mouse: what the server says is what the page shows."""
import base64
import io
import json
import os

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from conftest import SHARED, Server, WEB, escape, go, open_dialog, rows, sample

STREET = os.path.join(WEB, "samples", "street.webp")


def asked(server, route, data):
    status, _, answer = server.ask("POST", route, data)
    assert status == 200, answer
    return json.loads(answer)["results"][0]


def bytes_of(path):
    with open(path, "rb") as f:
        return f.read()


def shared_picture(name):
    path = os.path.join(SHARED, "images", name)
    if not os.path.exists(path):
        pytest.skip(f"no {path}")
    return path


def test_page_shows_what_detect_says(page, url, server):
    go(page, url, "detect")
    sample(page, "A street")
    want = asked(server, "/v1/detect?threshold=0.4", bytes_of(STREET))
    shown = rows(page)
    assert [r[0] for r in shown] == [o["label"] for o in want["objects"]]
    assert {"stop sign", "person", "car"} <= {r[0] for r in shown}
    for row, o in zip(shown, want["objects"]):
        assert abs(float(row[1].split()[0]) - 100 * o["score"]) <= 0.51, row
        middle = (o["box"][0] + o["box"][2]) / 2 / want["width"]
        assert row[2] == ("on the left" if middle < 1 / 3 else
                          "on the right" if middle > 2 / 3 else "ahead")
    assert "yolox_nano_coco" in page.inner_text("#made-by")
    assert "ms" in page.inner_text("#made-by")


def test_page_shows_what_recognise_says(page, url):
    go(page, url, "recognise")
    sample(page, "A clock")
    shown = rows(page)
    assert "clock" in shown[0][0] and "clock" in page.inner_text("#sentence")
    assert len(shown) < 10
    page.locator("#threshold").fill("0")
    assert len(rows(page)) == 10


def canvas(page, selector="#stage canvas"):
    data = page.eval_on_selector(selector, "c => c.toDataURL()")
    return np.array(Image.open(io.BytesIO(
        base64.b64decode(data.split(",")[1]))).convert("RGB"))


def test_page_draws_the_mask_of_segment(page, url, server):
    go(page, url, "segment")
    sample(page, "A street")
    want = asked(server, "/v1/segment", bytes_of(STREET))
    named = {c["label"]: c["fraction"] for c in want["classes"]}
    shown = {r[0]: r[1] for r in rows(page)}
    assert "person" in shown and "background" not in shown
    for label, text in shown.items():
        assert abs(float(text.split()[0]) - 100 * named[label]) < 0.51
    # What is not the picture any more is what the mask says is a person.
    page.locator(".chip", has_text="background").locator("input").uncheck()
    for label in shown:
        if label != "person":
            page.locator(".chip", has_text=label).locator("input").uncheck()
    _, _, png = server.ask("POST", "/v1/segment", bytes_of(STREET),
                           {"Accept": "image/png"})
    mask = np.array(Image.open(io.BytesIO(png)))
    index = next(c["index"] for c in want["classes"]
                 if c["label"] == "person")
    with_person = canvas(page)
    page.locator(".chip", has_text="person").locator("input").uncheck()
    without = canvas(page)
    changed = (with_person != without).any(axis=2)
    assert changed.shape == mask.shape
    assert np.array_equal(changed, mask == index)


def test_page_describes_in_sentences(page, url):
    go(page, url, "describe")
    sample(page, "A street")
    text = page.inner_text("#sentence") + page.inner_text("#found")
    assert "stop sign" in text and "person" in text or "people" in text
    assert page.inner_text("#sentence").strip().endswith(".")


def test_page_hides_by_slider_and_class(page, url):
    go(page, url, "detect")
    sample(page, "A street")
    all_rows = rows(page)
    before = canvas(page)
    page.locator("#threshold").fill("75")
    assert 0 < len(rows(page)) < len(all_rows)
    assert page.inner_text("#threshold-value") == "75 %"
    page.locator("#threshold").fill("40")
    assert rows(page) == all_rows
    assert np.array_equal(canvas(page), before)
    page.locator(".chip", has_text="person").locator("input").uncheck()
    assert [r for r in all_rows if r[0] != "person"] == rows(page)
    assert not np.array_equal(canvas(page), before)
    assert "people" not in page.inner_text("#sentence")


def test_page_takes_a_chosen_file(page, url):
    go(page, url, "detect")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a picture").click()
    chooser.value.set_files(shared_picture("bus.jpg"))
    page.wait_for_selector("#found:not([hidden])")
    labels = [r[0] for r in rows(page)]
    assert labels.count("bus") == 1 and labels.count("person") == 3


def given(page, event, selector):
    """Sends a drop or paste with the street as a file."""
    page.eval_on_selector(selector, """async (node, event) => {
      const blob = await (await fetch("/samples/street.webp")).blob();
      const file = new File([blob], "mine.webp", {type: "image/webp"});
      const data = new DataTransfer();
      data.items.add(file);
      node.dispatchEvent(event === "drop"
        ? new DragEvent("drop", {dataTransfer: data, bubbles: true,
                                 cancelable: true})
        : new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
    }""", event)


@pytest.mark.parametrize("event,selector", [("drop", "#stage"),
                                            ("paste", "body")])
def test_page_takes_a_file_by(page, url, event, selector):
    go(page, url, "detect")
    given(page, event, selector)
    page.wait_for_selector("#found:not([hidden])")
    assert "mine.webp" in page.get_attribute("#stage canvas", "aria-label")
    assert "stop sign" in [r[0] for r in rows(page)]


def test_page_pastes_by_button(page, url):
    go(page, url, "detect")
    page.bring_to_front()
    page.evaluate("""async () => {
      const blob = await (await fetch("/icon-512.png")).blob();
      await navigator.clipboard.write([new ClipboardItem(
        {"image/png": blob})]);
    }""")
    page.get_by_role("button", name="Paste").click()
    page.wait_for_selector("#found:not([hidden])")
    assert "pasted" in page.get_attribute("#stage canvas", "aria-label")


def test_page_takes_a_picture_with_the_camera(page, url):
    go(page, url, "detect")
    page.locator("#camera").click()
    expect(page.locator("#shot video")).to_have_js_property(
        "readyState", 4)
    page.get_by_role("button", name="Take the picture").click()
    page.wait_for_selector("#found:not([hidden])")
    assert "camera.jpg" in page.get_attribute("#stage canvas", "aria-label")
    expect(page.locator("#shot video")).to_have_js_property(
        "srcObject", None)


def test_page_keeps_the_picture_between_pages(page, url):
    go(page, url, "detect")
    sample(page, "A desk")
    page.get_by_role("link", name="Recognise").click()
    page.wait_for_selector("#found:not([hidden])")
    assert "desk.svg" in page.get_attribute("#stage canvas", "aria-label")
    assert page.title() == "Recognise - ocelli"
    page.go_back()
    page.wait_for_selector("#found:not([hidden])")
    assert "laptop" in [r[0] for r in rows(page)]


def test_page_gives_json_and_png(page, url):
    go(page, url, "detect")
    sample(page, "A street")
    with page.expect_download() as d:
        page.get_by_role("button", name="JSON").click()
    assert d.value.suggested_filename == "street.detect.json"
    with open(d.value.path()) as f:
        document = json.load(f)
    assert document["task"] == "detect"
    assert not [o for o in document["results"][0]["objects"] if "hue" in o]
    with page.expect_download() as d:
        page.get_by_role("button", name="PNG").click()
    image = Image.open(d.value.path())
    assert image.format == "PNG" and image.size == (960, 640)
    street = np.array(Image.open(STREET).convert("RGB"), int)
    moved = np.abs(np.array(image.convert("RGB"), int) - street).max(axis=2)
    assert 0.02 < (moved > 60).mean() < 0.5  # boxes, and not all else


def test_page_shows_the_card(page, url):
    go(page, url, "about")
    page.get_by_role("button", name="Details of tile_damage").click()
    text = page.inner_text("#info")
    assert "Apache-2.0" in text and "no damage, damage" in text
    escape(page)
    assert "yolox_nano_coco" in page.inner_text("#models")
    assert page.inner_text("#version") != "unknown"


def test_page_says_what_is_no_picture(page, url, watch):
    watch.expect("status of 400", "status of 415")
    go(page, url, "detect")
    page.locator("#file").set_input_files(
        {"name": "x.png", "mimeType": "image/png", "buffer": b"nothing"})
    page.wait_for_selector("#trouble:not([hidden])")
    assert len(page.inner_text("#trouble-text")) > 10
    assert page.is_visible(".no-preview")
    sample(page, "A desk")
    assert page.is_hidden("#trouble")


# ---- disaster --------------------------------------------------------------

def test_disaster_judges_one_tile_and_a_pair(page, url):
    go(page, url, "disaster")
    assert page.is_hidden("#no-damage-model")
    page.get_by_role("button", name="One tile").click()
    page.wait_for_selector("#damage:not([hidden])")
    assert page.inner_text("#verdict") == "There is damage on this tile."
    assert page.is_hidden("#compare")
    page.get_by_role("button", name="Before and after a flood").click()
    page.wait_for_selector("#damage:not([hidden])")
    page.wait_for_selector("#compare:not([hidden])")
    assert page.inner_text("#verdict") == \
        "There is damage now, and there was none before."
    damage = next(r for r in rows(page, "#damage-table") if r[0] == "damage")
    before, after = (float(t.split()[0]) for t in damage[1:3])
    assert before < 20 and after > 80 and damage[3].startswith("+")
    left = canvas(page, "#compare canvas")
    page.locator("#divide").fill("80")
    assert not np.array_equal(canvas(page, "#compare canvas"), left)
    with page.expect_download() as d:
        page.locator("#damage-png").click()
    assert Image.open(d.value.path()).size[0] == \
        2 * Image.open(d.value.path()).size[1]
    page.get_by_role("button", name="Remove the tile from before").click()
    expect(page.locator("#verdict")).to_have_text(
        "There is damage on this tile.")


def test_disaster_says_that_there_is_no_model(page, models):
    with Server(None, "--model", "digits=" + os.path.join(
            models, "mobilenet_v2_imagenet_nhwc.onnx")) as s:
        go(page, f"http://{s.at}", "disaster")
        page.wait_for_selector("#no-damage-model:not([hidden])")
        page.get_by_role("button", name="One tile").click()
        expect(page.locator("#verdict")).to_contain_text("No model")
        page.locator("#tile-model").select_option("digits")
        page.wait_for_selector("#damage:not([hidden])")
        assert "not made for damage" in page.inner_text("#verdict")
        page.get_by_role("link", name="Detect").click()
        page.wait_for_selector("#trouble:not([hidden])")
        assert "no model to detect" in page.inner_text("#trouble-text")


# ---- settings --------------------------------------------------------------

def test_settings_take_the_key(watch, models, tmp_path):
    import hashlib
    keys = tmp_path / "keys"
    keys.write_text(hashlib.sha256(b"open sesame").hexdigest() + "  me\n")
    watch.expect("status of 401")
    page = watch.page()
    with Server(models, "--keys", str(keys)) as s:
        go(page, f"http://{s.at}", "detect", "key")
        page.get_by_role("button", name="A street").click()
        page.wait_for_selector("#enter-key:not([hidden])")
        page.locator("#enter-key").click()
        for key, state in (("wrong", "does not know"),
                           ("open sesame", "takes it")):
            page.get_by_label("API key").fill(key)
            page.get_by_label("API key").press("Enter")
            expect(page.locator("#key-answer")).to_contain_text(state)
        escape(page)
        page.get_by_role("button", name="Try again").click()
        page.wait_for_selector("#found:not([hidden])")
        assert "sesame" not in page.evaluate(
            "JSON.stringify(localStorage)")
        open_dialog(page, "settings")
        page.get_by_label("Keep the key in this browser").check()
        assert "sesame" in page.evaluate("JSON.stringify(localStorage)")
        assert page.evaluate("sessionStorage.length") == 0


def test_settings_choose_the_theme(page, url):
    def ground():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="light")
    go(page, url, "about")
    light = ground()
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Dark").check()
    dark = ground()
    assert dark != light
    page.reload()
    assert ground() == dark
    page.emulate_media(color_scheme="dark")
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Light", exact=True).check()
    assert ground() == light
