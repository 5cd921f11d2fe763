"""The page that tries routes, against the answers of the server itself."""
import json
import os
import subprocess

from conftest import Server, expect, go, until
from server_process import SHARED
from test_page_keyboard import tab_to


def choose(page, name):
    page.get_by_label("Route").select_option(name)
    for summary in page.locator("#try-fields summary").all():
        summary.click()


def ask(page):
    """Sends the form; what the status line says."""
    page.evaluate("document.querySelector('#try-status').textContent = ''")
    page.get_by_role("button", name="Send").click()
    return until(page, lambda: page.inner_text("#try-status")
                 if page.is_visible("#try-answer") else "")


def body(page):
    return json.loads(page.inner_text("#try-answer-body pre"))


def test_api_lists_all_routes(page, url, server):
    go(page, url, "api")
    expect(page.get_by_label("Route")).to_be_visible()
    want = {f"{method.upper()} {path}" for path, item in server.json(
        "GET", "/openapi.json")[1]["paths"].items() for method in item}
    assert len(want) > 20 and want == set(page.eval_on_selector_all(
        "#try-route option", "list => list.map(o => o.innerText)"))


def test_api_sends_the_sample_and_shows_the_answer(page, url):
    go(page, url, "api")
    choose(page, "detect")
    page.get_by_label("model", exact=True).fill("yolox_nano_coco")
    page.get_by_label("top").fill("2")
    status = ask(page)
    assert status.startswith("200, ")
    found = body(page)["results"][0]["objects"]
    assert len(found) == 2 and found[0]["label"]
    until(page, lambda: "Answered 200" in " ".join(
        page.evaluate("window.said")))
    assert "x-request-id" in page.inner_text("#try-headers")
    # As a picture, which has pixels.
    page.get_by_label("Answer as").select_option("image/webp")
    assert ask(page).startswith("200, ")
    assert until(page, lambda: page.evaluate(
        "document.querySelector('#try-answer-body img').naturalWidth")) > 100


def test_api_sends_a_chosen_file(page, url, server):
    go(page, url, "api")
    choose(page, "classify")
    path = os.path.join(SHARED, "images", "cat_720p.jpg")
    page.locator("#try-file").set_input_files(path)
    page.get_by_label("model", exact=True).fill("mobilenet_v2_imagenet_nhwc")
    assert ask(page).startswith("200, ")
    with open(path, "rb") as f:
        want = server.json(
            "POST", "/v1/classify?model=mobilenet_v2_imagenet_nhwc",
            f.read())[1]
    assert body(page)["results"][0]["labels"] == want["results"][0]["labels"]


def test_api_fills_paths_and_speaks(page, url, watch):
    watch.expect("status of 404", "status of 400")
    go(page, url, "api")
    choose(page, "model_metadata")
    page.get_by_label("model (needed)").fill("no such/model")
    assert ask(page).startswith("404, an error")
    assert "no such" in body(page)["error"]
    page.get_by_label("model (needed)").fill("tile_damage")
    ask(page)
    assert body(page)["inputs"][0]["shape"] == [1, 3, 64, 64]
    choose(page, "speech")
    text = page.get_by_label("Body (JSON)")
    assert json.loads(text.input_value())["input"]
    text.fill("{")
    assert ask(page).startswith("400, an error")


def test_api_works_by_keyboard_alone(page, url):
    go(page, url, "api")
    page.locator("#skip").focus()
    tab_to(page, "try-route")
    page.keyboard.press("Home")
    expect(page.locator("#try-summary")).to_contain_text("What this server")
    tab_to(page, "Send")
    page.keyboard.press("Enter")
    expect(page.locator("#try-status")).to_contain_text("200")
    assert body(page)["name"] == "ocelli"


def test_api_command_does_the_same(page, url, server):
    go(page, url, "api")
    choose(page, "repository_index")
    status, want = server.json("POST", "/v2/repository/index", b"{}")
    command = page.inner_text("#try-curl")
    got = subprocess.run(["sh", "-c", command.replace("curl", "curl -s", 1)],
                         capture_output=True, text=True)
    assert status == 200 and json.loads(got.stdout) == want, command
    # What somebody types stays a word of its own.
    choose(page, "model_metadata")
    page.get_by_label("model (needed)").fill("a'; echo $(id) \"")
    shown = page.inner_text("#try-curl")
    got = subprocess.run(["sh", "-c", shown.replace("curl", "printf '%s|'",
                                                    1)],
                         capture_output=True, text=True).stdout
    assert got == f"{url}/v2/models/a'%3B%20echo%20%24(id)%20%22|", got


def test_api_wants_the_key_and_never_shows_it(watch, models, tmp_path):
    import hashlib
    keys = tmp_path / "keys"
    keys.write_text(hashlib.sha256(b"open sesame").hexdigest() + "  me\n")
    watch.expect("status of 401")
    page = watch.page()
    with Server(models, "--keys", str(keys)) as s:
        go(page, f"http://{s.at}", "api", "key")
        expect(page.locator("#try-unknown")).to_contain_text("API key")
        page.evaluate("sessionStorage.setItem('ocelli-key', 'open sesame')")
        page.reload()
        choose(page, "models")
        assert ask(page).startswith("200")
        command = page.inner_text("#try-curl")
        assert "Bearer $KEY" in command and "sesame" not in command
