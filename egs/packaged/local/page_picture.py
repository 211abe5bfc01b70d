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
WIDTH, HEIGHT = 750, 920  # of each half, in pixels
LIMIT_MS = 120_000
DONE = "document.querySelector('#status').textContent.startsWith('Done')"


def worked_out(page: Page, url: str) -> tuple[Image.Image, float]:
    """The whole page with the example worked out, and where its results begin."""
    page.goto(url)
    page.get_by_role("button", name=EXAMPLE).click()
    page.wait_for_function(DONE, timeout=LIMIT_MS)
    page.wait_for_timeout(1000)  # the spectrograms
    box = page.locator("#result").bounding_box()
    assert box is not None
    image = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    return image, box["y"] + page.evaluate("window.scrollY")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="of a service that is running")
    parser.add_argument("output", type=Path, help="PNG")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        image, begin = worked_out(page, options.url)
        browser.close()
    halves = Image.new("RGB", (2 * WIDTH, HEIGHT), image.getpixel((0, 0)))
    halves.paste(image.crop((0, 0, WIDTH, min(round(begin), HEIGHT))), (0, 0))
    halves.paste(image.crop((0, round(begin), WIDTH, min(round(begin) + HEIGHT, image.height))), (WIDTH, 0))
    halves.save(options.output, optimize=True)
    print(options.output)


if __name__ == "__main__":
    main()
