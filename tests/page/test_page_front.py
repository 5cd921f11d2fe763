""""What is in front of me": a camera film of a street that comes and goes."""
from playwright.sync_api import expect

from conftest import escape, go, open_dialog, spoken, until


def heard(page):
    return page.evaluate("window.spoken.filter(s => s.text).map(s => s.text)")


def wait_heard(page, text):
    until(page, lambda: text in " ".join(heard(page)))


def test_front_says_what_comes_and_goes_by_one_key(page, url):
    go(page, url, "about")
    open_dialog(page, "settings")
    page.get_by_label("Silent about the same thing for").fill("2")
    escape(page)
    page.keyboard.press("w")
    page.wait_for_selector("#front[open]")
    wait_heard(page, "stop sign on the right.")
    wait_heard(page, "gone.")
    # Danger first: people come after what may run them over.
    first = next(t for t in heard(page) if "Nothing" not in t)
    assert any(d in first.split(".")[0].lower() for d in (
        "bus", "car", "traffic light", "stop sign")), first
    # Changes, not every picture: nothing comes twice without having gone.
    told = [t.strip() for t in heard(page)]
    for i, text in enumerate(told):
        if text in told[:i]:
            assert any("gone" in t for t in told[:i]), told
    assert "yolox_nano_coco" in page.inner_text("#front-note")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(600)
    n = len(heard(page))
    page.wait_for_timeout(1500)
    assert len(heard(page)) == n
    page.keyboard.press("r")
    assert len(heard(page)) > n
    page.get_by_role("button", name="Say all").click()
    assert heard(page)[-1].endswith(".")
    escape(page)
    expect(page.locator("#front video")).to_have_js_property(
        "srcObject", None)  # the camera is off
    assert page.evaluate("window.spoken.at(-1)") == "silence"
    assert page.locator("#front").get_attribute("open") is None


def test_front_leaves_speaking_to_a_screen_reader(page, url):
    go(page, url, "about")
    open_dialog(page, "settings")
    page.get_by_label("Spoken by").select_option("reader")
    escape(page)
    page.evaluate("window.said.length = 0")
    page.keyboard.press("w")
    until(page, lambda: "stop sign" in " ".join(
        page.evaluate("window.said")).lower())
    assert spoken(page) == ""


def test_front_says_why_there_is_no_camera(watch, url):
    page = watch.page()
    page.add_init_script("""navigator.mediaDevices.getUserMedia = () =>
      Promise.reject(new DOMException("no", "NotAllowedError"));""")
    go(page, url, "about")
    page.keyboard.press("w")
    expect(page.locator("#front-text")).to_contain_text("not allowed")
    assert "not allowed" in spoken(page)


def test_front_says_once_that_the_server_is_gone(watch, url):
    page = watch.page()
    watch.expect("Failed to load resource", "net::ERR")
    go(page, url, "about")
    page.route("**/v1/detect**", lambda r: r.abort())
    page.keyboard.press("w")
    expect(page.locator("#front-text")).to_contain_text("cannot be reached")
    page.wait_for_timeout(1200)
    assert " ".join(heard(page)).count("cannot be reached") == 1
    page.unroute("**/v1/detect**")
    wait_heard(page, "stop sign")


# ---- the rules, without a camera -------------------------------------------

def story(page, frames, cool=5000, step=500):
    """What is said of frames of [label, x, size], in a picture of 100."""
    return page.evaluate("""async ([frames, cool, step]) => {
      const {Changes} = await import("/js/changes.js");
      const c = new Changes(cool);
      return frames.map((list, i) => c.see(list.map(([label, x, size]) => ({
        label, score: 0.9, box: [x - size / 2, 50 - size / 2,
                                 x + size / 2, 50 + size / 2]})),
        100, 100, i * step)).map(n => n && n.text);
    }""", [frames, cool, step])


def test_changes_are_said_once_and_steady_ones_only(page, url):
    page.goto(url)
    chair, car = ["chair", 50, 20], ["car", 10, 20]
    # A flicker is nothing; what stays is said once; what leaves, once.
    assert story(page, [[], [chair], [], [], []]) == [
        "Nothing I know in front of you.", None, None, None, None]
    said = story(page, [[chair]] * 8)
    assert said == [None, "A chair ahead."] + [None] * 6
    said = story(page, [[chair]] * 3 + [[]] * 14, cool=3000)
    assert [s for s in said if s] == ["A chair ahead.", "Chair ahead gone.",
                                      "Nothing I know in front of you."]
    # Danger comes first.
    said = story(page, [[chair, car]] * 3)
    assert said[1] == "A car on the left. A chair ahead."
    # What comes and goes fast is not said again within the cool-down.
    said = story(page, ([[chair]] * 3 + [[]] * 3) * 3, cool=60000)
    assert len([s for s in said if s and "A chair" in s]) == 1
    # Nearer danger is urgent, even so soon after something else.
    said = story(page, [[car]] * 3 + [[["car", 20, 70]]] * 12, cool=2000)
    assert [s for s in said if s] == ["A car on the left.",
                                      "A car on the left, near."]


def test_words_count_and_are_unsure(page, url):
    page.goto(url)
    got = page.evaluate("""async () => {
      const w = await import("/js/words.js");
      const o = (label, x, score = 0.9) => ({label, score,
        box: [x - 5, 40, x + 5, 60]});
      return [
        w.sentence([], 100),
        w.sentence([o("person", 10), o("person", 90), o("bus", 50)], 100),
        w.sentence([o("orange", 50, 0.4)], 100),
        ...["person", "bus", "knife", "wine glass", "bench", "sheep", "toy",
            "berry", "traffic light"].map(w.plural),
      ];
    }""")
    assert got == [
        "Nothing that this model knows.",
        "A bus ahead and two people on the left and on the right.",
        "Perhaps an orange ahead.",
        "people", "buses", "knives", "wine glasses", "benches", "sheep",
        "toys", "berries", "traffic lights"]
