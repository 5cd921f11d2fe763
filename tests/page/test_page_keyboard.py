"""The page by keyboard alone, and what is said on the way."""
import json

import pytest
from playwright.sync_api import expect

from conftest import PAGES, escape, go, open_dialog, rows, sample, spoken, until


def focused(page):
    """What has the focus: its name, and whether that is seen."""
    return page.evaluate("""() => {
      const e = document.activeElement, s = getComputedStyle(e);
      const r = e.getBoundingClientRect();
      const x = r.left + Math.min(r.width / 2, 12);
      const y = r.top + Math.min(r.height / 2, 12);
      const top = document.elementFromPoint(x, y);
      return {
        tag: e.tagName, id: e.id,
        name: (e.getAttribute("aria-label") ?? e.labels?.[0]?.innerText ??
               e.innerText ?? "").trim().replace(/\\s+/g, " "),
        outline: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2,
        uncovered: Boolean(top) && (e.contains(top) || top.contains(e)),
        dialog: e.closest("dialog")?.id ?? "",
      };
    }""")


def tab_to(page, name, most=80, key="Tab"):
    for _ in range(most):
        page.keyboard.press(key)
        f = focused(page)
        if f["name"] == name or f["id"] == name:
            return f
    raise AssertionError(f"Tab does not lead to {name}")


def test_skip_link_leads_to_the_content(page, url):
    go(page, url, "detect")
    page.keyboard.press("Tab")
    assert focused(page)["name"] == "Skip to the content"
    page.keyboard.press("Enter")
    assert focused(page)["id"] == "main" and page.url.endswith("#/detect")
    page.keyboard.press("Tab")
    assert focused(page)["name"].startswith("Choose")


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)],
                         ids=["desktop", "phone"])
def test_focus_is_seen_everywhere(watch, url, size):
    page = watch.page(size=size)
    for name in PAGES:
        go(page, url, name)
        if name not in ("disaster", "api", "about"):
            sample(page, "A street" if name != "recognise" else "A clock")
        page.keyboard.press("Tab")  # or the focus would be a mouse's
        page.locator("#skip").focus()
        seen = set()
        for _ in range(90):
            f = focused(page)
            if f["tag"] == "BODY":
                break
            assert f["name"], (name, f)
            assert f["outline"], (name, f)
            assert f["uncovered"], (name, f)
            seen.add(f["id"] or f["name"])
            page.keyboard.press("Tab")
        else:
            raise AssertionError("Tab never leaves the page")
        assert len(seen) > 14, (name, seen)


def test_a_picture_is_looked_at_by_keyboard_alone(page, url):
    page.goto(url)
    tab_to(page, "Detect")
    page.keyboard.press("Enter")
    # A new page is read from its heading.
    expect(page.locator("#bench-title")).to_be_focused()
    tab_to(page, "A street")
    page.keyboard.press("Space")
    page.wait_for_selector("#found:not([hidden])")
    until(page, lambda: any(s.startswith("Done. ") and "stop sign" in s
                            for s in page.evaluate("window.said")))
    tab_to(page, "Speak")
    page.keyboard.press("Enter")
    assert "stop sign" in spoken(page)
    tab_to(page, "Stop")
    page.keyboard.press("Enter")
    assert page.evaluate("window.spoken.at(-1)") == "silence"
    n = len(rows(page))
    tab_to(page, "threshold")
    for _ in range(35):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#threshold-value") == "75 %"
    assert len(rows(page)) < n
    page.keyboard.press("Home")
    assert len(rows(page)) >= n
    tab_to(page, "stop sign")
    page.keyboard.press("Space")
    assert "stop sign" not in [r[0] for r in rows(page)]
    assert page.evaluate("document.activeElement.type") == "checkbox"
    tab_to(page, "JSON")
    with page.expect_download() as d:
        page.keyboard.press("Enter")
    with open(d.value.path()) as f:
        assert json.load(f)["task"] == "detect"
    tab_to(page, "model")
    assert page.locator("#model").input_value() == "yolox_nano_coco"


def test_a_disaster_is_judged_by_keyboard_alone(page, url):
    go(page, url, "disaster")
    tab_to(page, "Before and after a flood")
    page.keyboard.press("Enter")
    expect(page.locator("#verdict")).to_contain_text("none before")
    tab_to(page, "divide")
    page.keyboard.press("End")
    assert page.inner_text("#divide-value") == "100 %"
    page.keyboard.press("s")
    assert spoken(page) == ""  # a slider has the focus: letters are its own
    tab_to(page, "tile-details")
    page.keyboard.press("Enter")
    assert "tile_damage" in page.inner_text("#info")


def test_dialogs_keep_the_focus_and_give_it_back(page, url):
    go(page, url, "detect")
    tab_to(page, "Settings")
    page.keyboard.press("Enter")
    page.wait_for_selector("#settings[open]")
    inside = [focused(page)["dialog"]]
    names = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        f = focused(page)
        names.add(f["name"])
        inside.append(f["dialog"])
        if f["tag"] != "BODY":  # the browser's own bar comes in between
            assert f["outline"] and f["uncovered"], f
    assert set(inside) <= {"settings", ""} and inside.count("") <= 4
    assert any(n.startswith("Speak every result") for n in names), names
    escape(page)
    assert page.locator("#settings").get_attribute("open") is None
    assert focused(page)["name"] == "Settings"


def test_single_keys_act_until_they_are_switched_off(page, url):
    go(page, url, "detect")
    sample(page, "A street")
    page.keyboard.press("s")
    first = spoken(page)
    assert "stop sign" in first
    page.keyboard.press("r")
    assert spoken(page) == f"{first} {first}"
    escape(page)
    assert page.evaluate("window.spoken.at(-1)") == "silence"
    page.keyboard.press("Shift+?")
    page.wait_for_selector("#help[open]")
    page.keyboard.press("w")  # a dialog is open: nothing
    assert page.locator("#front").get_attribute("open") is None
    escape(page)
    with page.expect_file_chooser():
        page.keyboard.press("o")
    n = page.evaluate("window.spoken.length")
    page.keyboard.press("Control+s")
    open_dialog(page, "settings")
    page.get_by_label("API key").press_sequentially("wsro")
    assert page.get_by_label("API key").input_value() == "wsro"
    page.get_by_label("API key").fill("")
    page.get_by_label("Single keys do things").uncheck()
    escape(page)
    n = page.evaluate("window.spoken.length")
    page.keyboard.press("s")
    page.keyboard.press("w")
    assert page.evaluate("window.spoken.length") == n
    assert page.locator("#front").get_attribute("open") is None


def test_menu_works_on_a_phone(watch, url):
    page = watch.page(size=(390, 844))
    go(page, url, "detect")
    assert page.locator(".pages a", has_text="About").is_hidden()
    tab_to(page, "Menu")
    page.keyboard.press("Enter")
    tab_to(page, "About")
    page.keyboard.press("Enter")
    expect(page.locator("#about-title")).to_be_focused()
    assert page.locator("#menu").get_attribute("open") is None
    page.get_by_role("button", name="Menu").click()
    page.locator("#menu").get_by_role("button", name="Help").click()
    page.wait_for_selector("#help[open]")
    assert page.locator("#menu").get_attribute("open") is None


# ---- speech ----------------------------------------------------------------

def test_speech_has_rate_and_voice_and_speaks_by_itself(page, url):
    go(page, url, "detect")
    open_dialog(page, "settings")
    page.get_by_label("Rate").fill("1.8")
    page.get_by_label("Voice", exact=True).select_option(label="Ben (en-US)")
    page.get_by_label("Speak every result at once").check()
    page.get_by_role("button", name="Try it").click()
    first = page.evaluate("window.spoken.filter(s => s.text)[0]")
    assert first["rate"] == 1.8 and first["voice"] == "Ben"
    escape(page)
    page.evaluate("window.spoken.length = 0")
    sample(page, "A street")
    assert "stop sign" in spoken(page)
    page.reload()
    open_dialog(page, "settings")
    assert page.get_by_label("Rate").input_value() == "1.8"


def test_speech_of_the_server_is_played(watch, url):
    """The route of `ocelli speak`, in the shape OpenAI gave it."""
    page = watch.page()
    import io
    import wave
    wav = io.BytesIO()
    with wave.open(wav, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(8000)
        w.writeframes(bytes(16000))
    asked = []

    def speech(route):
        asked.append(json.loads(route.request.post_data))
        route.fulfill(body=wav.getvalue(), content_type="audio/wav")

    def routes(route):
        answer = route.fetch()
        document = answer.json()
        document["paths"]["/v1/audio/speech"] = {"post": {}}
        route.fulfill(response=answer, json=document)
    page.route("**/openapi.json", routes)
    page.route("**/v1/audio/speech", speech)
    page.add_init_script("""window.played = [];
      HTMLMediaElement.prototype.play = function () {
        window.played.push(this.src); return Promise.resolve(); };
      HTMLMediaElement.prototype.pause = function () {
        window.played.push("pause"); };""")
    go(page, url, "detect")
    sample(page, "A street")
    open_dialog(page, "settings")
    page.get_by_label("Spoken by").select_option("server")
    escape(page)
    page.evaluate("window.played.length = 0")
    page.keyboard.press("s")
    until(page, lambda: page.evaluate("window.played.length"))
    assert "stop sign" in asked[0]["input"]
    assert asked[0]["response_format"] == "wav" and asked[0]["speed"] == 1
    played = page.evaluate("window.played")
    assert len(played) == 1 and played[0].startswith("blob:"), played
    escape(page)
    assert page.evaluate("window.played.at(-1)") == "pause"
    # A server that lost its voice: the browser's does.
    watch.expect("status of 500")
    page.unroute("**/v1/audio/speech")
    page.route("**/v1/audio/speech", lambda r: r.fulfill(
        status=500, json={"error": "no voice"}))
    page.keyboard.press("r")
    until(page, lambda: "stop sign" in spoken(page))
