"""The page in a real browser: what is seen, pressed and pointed at. Needs Debian's chromium-driver."""

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from conftest import write_raster
from page_data import PLACES, SHAPE, write_all

import geoseg
from geoseg.report.page import write_report

webdriver = pytest.importorskip("selenium.webdriver", reason="there is no selenium: pip install selenium")

from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
NASTY = "<img src=x onerror=document.title='owned'>"
PATIENCE = 120  # seconds; a machine may be busy

if not (CHROMIUM and DRIVER):
    pytest.skip(
        "there is no chromium with its driver: apt-get install chromium chromium-driver",
        allow_module_level=True,
    )


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--window-size=1200,1500"):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of a mask with all that belongs to it, and one of its evaluation."""
    folder = tmp_path_factory.mktemp("pages")
    mask = write_all(folder, classes=("building", NASTY))
    write_report(mask, folder / "mask.html")
    truth = write_raster(folder / "truth.tif", (coded_truth() > 0).astype("uint8")[..., None])
    geoseg.evaluate(mask, truth, folder / "evaluation", class_name="building", block=64)
    write_report(folder / "evaluation", folder / "evaluation.html")
    return folder


def coded_truth():
    """The labels, some pixels to the right."""
    import numpy as np
    from page_data import labels

    return np.roll(labels() == 1, 9, 1)


@pytest.fixture
def page(browser, pages):
    """The page of the mask, just opened."""
    return opened(browser, pages / "mask.html")


def opened(browser, path):
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(path.as_uri())
    ready = "return document.getElementById('frame').dataset.ready === 'true'"
    WebDriverWait(browser, PATIENCE).until(lambda shown: shown.execute_script(ready))
    return browser


def requested(browser):
    """The addresses that were asked for since the page was opened, without those that are data themselves."""
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    found = [
        one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in found if not url.startswith("data:")]


def complaints(browser):
    return [line["message"] for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]


def pixels(browser):
    """The canvas as it is, all drawing done."""
    return browser.execute_async_script(
        "const done = arguments[0];"
        "requestAnimationFrame(() => requestAnimationFrame(() =>"
        " done(document.getElementById('map').toDataURL())));"
    )


def on_map(browser, row, col):
    """Where a pixel of the scene is, from the middle of the canvas."""
    box = browser.find_element(By.ID, "map").size
    scale = min(box["width"] / SHAPE[1], box["height"] / SHAPE[0]) * 0.98
    return round((col - SHAPE[1] / 2) * scale), round((row - SHAPE[0] / 2) * scale)


def point_at(browser, row, col):
    ActionChains(browser).move_to_element_with_offset(
        browser.find_element(By.ID, "map"), *on_map(browser, row, col)
    ).perform()
    return browser.find_element(By.ID, "tip").text.splitlines()


def press(browser, *keys):
    ActionChains(browser).send_keys(*keys).perform()


def readout(browser):
    return browser.find_element(By.ID, "readout").text


def middle_of(place):
    row, col, height, width = place
    return row + height // 2, col + width // 2


@pytest.mark.parametrize("name", ["mask", "evaluation"])
def test_nothing_is_fetched_and_nothing_complains(browser, pages, name):
    path = pages / f"{name}.html"
    opened(browser, path)
    pixels(browser)
    assert requested(browser) == [path.as_uri()]
    assert complaints(browser) == []


def test_the_page_can_reach_nobody(page):
    heard = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append(self.path)
            self.send_response(200)
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    try:
        answer = page.execute_async_script(
            "const [address, done] = arguments;"
            "new Image().src = address + 'image';"
            "fetch(address, {mode: 'no-cors'}).then(() => done('reached'), () => done('refused'));",
            address,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert (answer, heard) == ("refused", [])
    assert any("Content Security Policy" in said for said in complaints(page))


def test_each_layer_can_be_switched(page):
    for layer in ("scene", "codes", "polygons", "certainty"):
        before = pixels(page)
        switch = page.find_element(By.ID, f"layer-{layer}")
        switch.click()
        changed = pixels(page)
        assert changed != before, layer
        switch.click()
        assert pixels(page) == before, layer


def test_a_class_can_be_switched_on_mask_and_polygons(page):
    before = pixels(page)
    page.find_element(By.ID, "class-0").click()
    without = pixels(page)
    assert without != before
    assert point_at(page, *middle_of(PLACES[0][1]))[0] == "building"  # of the mask, which still knows
    assert len(page.find_element(By.ID, "tip").text.splitlines()) == 2
    page.find_element(By.ID, "layer-polygons").click()
    page.find_element(By.ID, "layer-codes").click()
    masked = pixels(page)
    page.find_element(By.ID, "class-0").click()
    assert pixels(page) != masked


@pytest.mark.parametrize(("which", "area"), [(0, "432"), (1, "225")])
def test_pointing_at_a_polygon_says_class_area_and_confidence(page, which, area):
    name, place, sure = PLACES[which]
    assert point_at(page, *middle_of(place)) == [
        name,
        f"area {area} m²",
        f"confidence {sure:.0%}".replace("%", " %"),
    ]
    assert readout(page).startswith(f"{name} · area {area} m²")


def test_pointing_beside_polygons_says_what_the_mask_says(page):
    assert point_at(page, 100, 10) == ["background", "probability 8 %"]
    assert point_at(page, 230, 300) == ["no data"]


def test_the_place_is_said_in_map_coordinates(page):
    point_at(page, *middle_of(PLACES[0][1]))
    x, y = 452310 + 0.3 * 70, 3771240 - 0.3 * 50
    words = readout(page).split("x ")[1].split()
    assert abs(float(words[0].strip(",")) - x) < 0.5 and abs(float(words[2]) - y) < 0.5
    assert "EPSG:32611" in readout(page)


def test_names_of_classes_stay_text(page):
    assert point_at(page, *middle_of(PLACES[2][1]))[0] == NASTY
    assert page.title == "scene_mask.tif"
    assert page.find_elements(By.CSS_SELECTOR, "img[src='x']") == []
    assert NASTY in page.find_element(By.ID, "classes").text


def test_the_map_goes_by_keys_alone(page):
    page.find_element(By.ID, "least").send_keys(Keys.NULL)
    for _ in range(40):
        press(page, Keys.TAB)
        if page.switch_to.active_element.get_attribute("id") == "map":
            break
    else:
        pytest.fail("the map is not reached by Tab")
    whole = pixels(page)  # with the cross that shows where the keys are
    press(page, Keys.ARROW_LEFT)
    moved, said = pixels(page), readout(page)
    assert moved != whole and "x " in said
    press(page, "+", "+")
    assert pixels(page) != moved
    press(page, "0")
    assert pixels(page) == whole
    press(page, Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert readout(page).startswith("building · area 432 m²")


def test_every_control_is_named_shows_its_focus_and_is_reached_by_tab(page):
    seen = []
    page.execute_script("document.body.tabIndex = -1; document.body.focus(); window.scrollTo(0, 0);")
    for _ in range(60):
        press(page, Keys.TAB)
        one = page.switch_to.active_element
        if one.tag_name == "body" or (seen and one.id == seen[0]):
            break
        seen.append(one.id)
        assert one.accessible_name, one.get_attribute("outerHTML")
        style = page.execute_script("return getComputedStyle(arguments[0]).outlineStyle", one)
        assert style != "none", one.get_attribute("outerHTML")
    controls = [one for one in page.find_elements(By.CSS_SELECTOR, "button, input, select, canvas, summary")
                if one.is_displayed()]  # fmt: skip
    assert {one.id for one in controls} <= set(seen)


def test_the_least_certain_polygons_can_be_gone_through(page):
    before = pixels(page)
    said = []
    for _ in PLACES:
        page.find_element(By.ID, "doubt-on").click()
        said.append(readout(page))
    assert ["confidence 60 %" in said[0], "confidence 75 %" in said[1], "confidence 90 %" in said[2]] == [
        True
    ] * 3
    assert pixels(page) != before
    page.find_element(By.ID, "doubt-back").click()
    assert readout(page) == said[1]


def test_polygons_below_a_confidence_are_hidden_and_can_be_coloured_by_it(page):
    before = pixels(page)
    page.find_element(By.CSS_SELECTOR, "#colouring option[value=confidence]").click()
    colored = pixels(page)
    assert colored != before
    slider = page.find_element(By.ID, "least")
    slider.send_keys(Keys.END)
    assert page.find_element(By.ID, "least-said").text == "100 %"
    assert pixels(page) != colored
    assert len(point_at(page, *middle_of(PLACES[1][1]))) == 2  # the mask's words; the polygon is hidden


def test_the_wheel_zooms_about_the_pointer(page):
    place = middle_of(PLACES[0][1])
    point_at(page, *place)
    before = readout(page)
    offset = on_map(page, *place)
    canvas = page.find_element(By.ID, "map")
    where = webdriver.common.actions.wheel_input.ScrollOrigin.from_element(canvas, *offset)
    ActionChains(page).scroll_from_origin(where, 0, -400).perform()
    ActionChains(page).move_to_element_with_offset(canvas, *offset).perform()
    assert page.execute_script("return view.scale") > 1.5 * min(
        canvas.size["width"] / SHAPE[1], canvas.size["height"] / SHAPE[0]
    )
    assert readout(page).split("—")[0] == before.split("—")[0]


def test_a_bad_tile_is_shown_on_the_map(browser, pages):
    opened(browser, pages / "evaluation.html")
    before = pixels(browser)
    tile = browser.find_element(By.CSS_SELECTOR, "button[data-box]")
    tile.send_keys(Keys.ENTER)
    assert pixels(browser) != before
    assert browser.switch_to.active_element.get_attribute("id") == "map"


def luminance(color):
    """Of `rgb(r, g, b)`, as WCAG 2 defines it."""
    channels = [float(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser, pages, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        opened(browser, pages / "mask.html")
        style = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        ground = {place: luminance(browser.execute_script(style, place, "backgroundColor"))
                  for place in ("body", "section + section")}  # fmt: skip
        assert (ground["body"] < 0.5) == (scheme == "dark")
        for place, words in (("body", "h1"), ("body", ".lead"), ("body", ".kind"),
                             ("section + section", "section + section td"), ("section + section", "th"),
                             ("section + section", "summary")):  # fmt: skip
            ink = luminance(browser.execute_script(style, words, "color"))
            low, high = sorted((ink, ground[place]))
            assert (high + 0.05) / (low + 0.05) >= 4.5, words
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.parametrize("name", ["mask", "evaluation"])
def test_a_phone_shows_it_without_scrolling_sideways(browser, pages, name):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        opened(browser, pages / f"{name}.html")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        canvas = browser.find_element(By.ID, "map").rect
        assert canvas["width"] > 350 and canvas["height"] > 250
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
