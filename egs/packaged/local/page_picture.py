"""Takes the picture of the page that is in README: one of its examples, what goes in beside what comes out.

cse serve --port 8123
python egs/packaged/local/page_picture.py http://127.0.0.1:8123/ docs/page.png
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

EXAMPLE = "A WhatsApp export"
WIDTH, HEIGHT = 1000, 1340  # of each half as the browser has it: wide enough for two columns
SCALE = 0.75
LIMIT_MS = 120_000


def worked_out(page: Page, url: str) -> tuple[Image.Image, int]:
    """The whole page with the example worked out, and at which row its results begin."""
    page.goto(url)
    page.get_by_role("button", name=EXAMPLE).click()
    page.locator("#status", has_text="Done").wait_for(timeout=LIMIT_MS)
    page.wait_for_timeout(1000)  # the spectrograms
    box = page.locator("#result").bounding_box()
    assert box is not None
    begin = box["y"] + page.evaluate("window.scrollY") - 10
    return Image.open(io.BytesIO(page.screenshot(full_page=True))), round(SCALE * begin)


def halves(image: Image.Image, begin: int) -> Image.Image:
    """What is above row `begin`, and beside it what comes from there on."""
    width, height = round(SCALE * WIDTH), round(SCALE * HEIGHT)
    both = Image.new("RGB", (2 * width, height), image.getpixel((0, 0)))
    for place, (top, end) in enumerate(((0, begin), (begin, image.height))):
        both.paste(image.crop((0, top, width, min(end, top + height))), (place * width, 0))
    return both.quantize(128)  # a quarter of the size


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="of a service that is running")
    parser.add_argument("output", type=Path, help="PNG")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=SCALE)
        picture = halves(*worked_out(page, options.url))
        browser.close()
    picture.save(options.output, optimize=True)
    print(options.output)


if __name__ == "__main__":
    main()
