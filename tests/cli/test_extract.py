"""`cse extract` as a user meets it: what it writes and prints, and how it refuses."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from cse.cli import main
from cse.extractor import Extractor
from cse.testing.flite import flite_available
from cse.testing.models import told_extractor

RATE = 44100


@pytest.fixture
def note(tmp_path):
    """A recording of a low and a high tone: 1.3 s, stereo, 44.1 kHz."""
    time = np.arange(round(1.3 * RATE)) / RATE
    mixture = 0.2 * np.sin(2 * np.pi * 300 * time) + 0.1 * np.sin(2 * np.pi * 2500 * time)
    soundfile.write(tmp_path / "note.wav", np.stack([mixture, mixture], axis=1), RATE)
    return tmp_path / "note.wav"


@pytest.fixture
def chat(tmp_path):
    path = tmp_path / "chat.txt"
    path.write_text("Ana: Where shall we meet?\nBen: At the station?\n", encoding="utf-8")
    return path


@pytest.fixture
def use(monkeypatch):
    """Let `Extractor.from_pretrained` return a model that is known exactly."""

    def install(extractor: Extractor) -> None:
        monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(lambda *_, **__: extractor))

    install(told_extractor(1))
    return install


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main(["extract", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.usefixtures("use")
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_the_voice_has_the_note_s_rate_and_length(capsys, note, chat, tmp_path, suffix):
    output = tmp_path / f"voice{suffix}"
    code, out, err = run(capsys, note, "--history", chat, "-o", output, "--json")
    assert (code, err) == (0, "")
    voice, rate = soundfile.read(output)
    assert (voice.shape, rate) == ((round(1.3 * RATE),), RATE)
    assert np.std(voice) == pytest.approx(0.1 / np.sqrt(2), rel=0.05)
    result = json.loads(out)
    assert result["output"] == str(output)
    assert result["talkers"] == 2
    assert result["context_turns"] == 2
    assert result["sample_rate"] == RATE
    assert result["duration_s"] == pytest.approx(1.3, abs=1e-3)


@pytest.mark.usefixtures("use")
def test_without_json_it_says_how_sure_it_is(capsys, note, chat, tmp_path):
    code, out, _ = run(capsys, note, "--history", chat, "-o", tmp_path / "voice.wav")
    assert code == 0
    assert "probability 0.81" in out


@pytest.mark.usefixtures("use")
def test_history_from_standard_input(capsys, note, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'[{"role": "user", "content": "Hello"}]')))
    code, out, _ = run(capsys, note, "--history", "-", "-o", tmp_path / "voice.wav", "--json")
    assert code == 0
    assert json.loads(out)["context_turns"] == 1


def write_bad_inputs(folder) -> None:
    """One file for everything that can be wrong with audio."""
    silence = np.zeros(RATE)
    soundfile.write(folder / "silent.wav", silence, RATE)
    soundfile.write(folder / "short.wav", np.ones(100), RATE)
    soundfile.write(folder / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    soundfile.write(folder / "many.wav", 0.1 * np.ones((RATE, 50)), RATE)
    soundfile.write(folder / "slow.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), 2000)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is no audio")
    (folder / "truncated.wav").write_bytes((folder / "silent.wav").read_bytes()[:20])


@pytest.mark.usefixtures("use")
@pytest.mark.parametrize(
    "name",
    ["missing.wav", "silent.wav", "short.wav", "nan.wav", "many.wav", "slow.wav", "empty.wav", "text.wav",
     "truncated.wav", "."],
)  # fmt: skip
def test_bad_audio_is_one_line_and_exit_code_2_and_leaves_nothing(capsys, chat, tmp_path, name):
    write_bad_inputs(tmp_path)
    output = tmp_path / "out" / "voice.wav"
    output.parent.mkdir()
    code, out, err = run(capsys, tmp_path / name, "--history", chat, "-o", output)
    assert code == 2
    assert out == ""
    assert err.startswith("cse extract: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert list(output.parent.iterdir()) == []


@pytest.mark.usefixtures("use")
@pytest.mark.parametrize(
    ("name", "reason"), [("x" * 5000, "File name too long"), ("x\0", "embedded null byte")]
)
def test_a_name_that_no_file_has_is_one_short_line(capsys, chat, tmp_path, name, reason):
    code, out, err = run(capsys, name, "--history", chat, "-o", tmp_path / "voice.wav")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("cse extract: x") and reason in err and len(err) < 400
    assert not (tmp_path / "voice.wav").exists()


@pytest.mark.usefixtures("use")
@pytest.mark.parametrize(
    ("history", "part"),
    [(b"\x00\x01\xff\xfe\x80", "text"), (b'{"a": 1}', ""), (b"[1, 2]", ""), (b'[{"speaker": "Ana"', "JSON")],
)
def test_a_history_that_is_no_text_is_one_line(capsys, note, tmp_path, history, part):
    path = tmp_path / "chat"
    path.write_bytes(history)
    code, _, err = run(capsys, note, "--history", path, "-o", tmp_path / "voice.wav")
    assert code == 2
    assert err.count("\n") == 1
    assert part in err
    assert not (tmp_path / "voice.wav").exists()


@pytest.mark.usefixtures("use")
def test_an_empty_history_is_a_warning(capsys, note, tmp_path):
    (tmp_path / "chat.txt").write_text("")
    code, _, err = run(capsys, note, "--history", tmp_path / "chat.txt", "-o", tmp_path / "voice.wav")
    assert code == 0
    assert "the history is empty" in err


@pytest.mark.usefixtures("use")
def test_no_cue_at_all_names_both(capsys, note, tmp_path):
    code, _, err = run(capsys, note, "-o", tmp_path / "voice.wav")
    assert code == 2
    assert "history" in err
    assert "enrollment" in err


@pytest.mark.usefixtures("use")
@pytest.mark.parametrize("output", ["voice.txt", "voice", "nowhere/voice.wav"])
def test_an_output_that_cannot_be_written_is_told_first(capsys, note, chat, tmp_path, output):
    code, _, err = run(capsys, note, "--history", chat, "-o", tmp_path / output)
    assert code == 2
    assert output in err


def loaded_nothing(*_: object, **__: object) -> Extractor:
    raise AssertionError("a model was loaded before the output was checked")


@pytest.mark.parametrize("name", ["recording", "enrollment", "history", "link to the recording"])
def test_an_input_is_never_overwritten(capsys, note, chat, tmp_path, monkeypatch, name):
    monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(loaded_nothing))
    enrollment, link = tmp_path / "me.wav", tmp_path / "other.wav"
    enrollment.write_bytes(note.read_bytes())
    history = chat.rename(tmp_path / "chat.wav")
    link.symlink_to(note)
    output = {"recording": note, "enrollment": enrollment, "history": history}.get(name, link)
    before = output.read_bytes()
    code, _, err = run(capsys, note, "--history", history, "--enrollment", enrollment, "-o", output)
    assert code == 2
    assert err.startswith(f"cse extract: -o {output}: got the file of the input ") and err.count("\n") == 1
    assert output.read_bytes() == before and link.is_symlink()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc, where nobody may make files")
def test_a_folder_that_takes_no_file_is_told_before_the_work(capsys, note, chat, monkeypatch):
    monkeypatch.setattr(Extractor, "from_pretrained", staticmethod(loaded_nothing))
    code, _, err = run(capsys, note, "--history", chat, "-o", "/proc/voice.wav")
    assert code == 2
    assert "-o /proc/voice.wav: cannot write in /proc" in err


def test_an_older_output_survives_an_error(capsys, chat, tmp_path, use):
    output = tmp_path / "voice.wav"
    output.write_bytes(b"older")
    assert run(capsys, tmp_path / "missing.wav", "--history", chat, "-o", output)[0] == 2
    assert output.read_bytes() == b"older"


def test_an_absent_target_is_exit_code_3_unless_something_else_was_asked_for(
    capsys, note, chat, tmp_path, use
):
    use(told_extractor(p_none=0.8))
    output = tmp_path / "voice.wav"
    code, out, err = run(capsys, note, "--history", chat, "-o", output, "--json")
    assert (code, out) == (3, "")
    assert "nobody" in err
    assert not output.exists()
    for policy, level in (("silence", 0.0), ("passthrough", float(np.hypot(0.2, 0.1) / np.sqrt(2)))):
        code, out, _ = run(capsys, note, "--history", chat, "-o", output, "--json", "--on-absent", policy)
        assert code == 0
        assert json.loads(out)["target_present"] is False
        assert np.std(soundfile.read(output)[0]) == pytest.approx(level, abs=1e-3)


@pytest.mark.parametrize(
    ("model", "part"),
    [("no-such-model", "separator-2spk-16k"), ("../etc", ""), ("model.ckpt", "can run code"), ("hf://", "")],
)
def test_a_model_that_is_not_there_is_one_line(capsys, note, chat, tmp_path, model, part):
    code, _, err = run(capsys, note, "--history", chat, "-o", tmp_path / "voice.wav", "--model", model)
    assert code == 2
    assert err.count("\n") == 1
    assert part in err


@pytest.mark.parametrize("device", ["tpu", "meta"])
def test_a_device_that_is_not_there_is_named(capsys, note, chat, tmp_path, device):
    code, _, err = run(capsys, note, "--history", chat, "-o", tmp_path / "voice.wav", "--device", device)
    assert code == 2
    assert f"--device: got '{device}'" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "damage", ["truncated weights", "wrong weights", "no weights", "no config", "broken config"]
)
def test_a_damaged_model_folder_is_one_line(capsys, note, chat, tmp_path, damage):
    import shutil

    import cse
    from cse.checkpoint import DEFAULT_MODEL, load_checkpoint

    folder = tmp_path / "model"
    shutil.copytree(next(iter(cse.__path__)) + f"/pretrained/{DEFAULT_MODEL}", folder)
    assert load_checkpoint(folder).config["model"]
    weights, config = folder / "model.safetensors", folder / "config.json"
    if damage == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "wrong weights":
        weights.write_bytes(weights.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    elif damage == "no weights":
        weights.unlink()
    elif damage == "no config":
        config.unlink()
    else:
        config.write_text("{")
    code, _, err = run(capsys, note, "--history", chat, "-o", tmp_path / "voice.wav", "--model", folder)
    assert code == 2
    assert err.count("\n") == 1
    assert not (tmp_path / "voice.wav").exists()


@pytest.mark.usefixtures("use")
def test_a_name_that_is_no_text_is_printed_all_the_same(note, chat, tmp_path, monkeypatch):
    output = tmp_path / os.fsdecode(b"o\xff.wav")
    for extra in ([], ["--json"]):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # as strict as a terminal
        monkeypatch.setattr("sys.stdout", stdout)
        assert main(["extract", str(note), "--history", str(chat), "-o", str(output), *extra]) == 0
        stdout.seek(0)
        printed = stdout.read()
        assert "o\\udcff.wav" in printed
    assert json.loads(printed)["output"] == str(output)


@pytest.mark.usefixtures("use")
def test_opus_says_that_it_has_another_rate(capsys, note, chat, tmp_path):
    code, out, err = run(capsys, note, "--history", chat, "-o", tmp_path / "voice.ogg", "--json")
    assert code == 0
    assert soundfile.info(tmp_path / "voice.ogg").samplerate == 48000
    assert "voice.ogg: is at 48000 Hz" in " ".join(json.loads(out)["warnings"])
    assert err.count("\n") == 1 and err.startswith("cse extract: warning: voice.ogg: is at 48000 Hz")


@pytest.mark.usefixtures("use")
@pytest.mark.filterwarnings("error")
def test_clipping_is_one_clean_warning(capsys, chat, tmp_path):
    time = np.arange(RATE) / RATE
    loud = 1.2 * np.sin(2 * np.pi * 2500 * time) + 0.5 * np.sin(2 * np.pi * 300 * time)
    soundfile.write(tmp_path / "loud.wav", loud, RATE, subtype="FLOAT")
    voice = tmp_path / "voice.wav"
    code, out, err = run(capsys, tmp_path / "loud.wav", "--history", chat, "-o", voice, "--json")
    assert code == 0
    clipped = [line for line in json.loads(out)["warnings"] if "are clipped to -1..1" in line]
    assert len(clipped) == 1 and clipped[0].startswith(f"{voice}: samples reach 1.2")
    assert f"cse extract: warning: {clipped[0]}\n" in err and "UserWarning" not in err


def test_an_absent_voice_is_called_what_it_is(capsys, note, use):
    use(told_extractor(p_none=0.8))
    code, _, err = run(capsys, note, "--enrollment", note, "-o", note.with_name("voice.wav"))
    assert code == 3
    assert "the voice of the enrollment" in err and "continue the history" not in err


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc, where nobody may make folders")
def test_a_demo_that_cannot_be_written_is_one_line(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "file", "/proc/demo"):
        assert main(["demo", "--output", str(output)]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"cse demo: --output {output}: ") and err.count("\n") == 1


@pytest.mark.parametrize("name", ["chat.txt", "voice.wav", "result.json", "voice_note.ogg", "talker2.wav"])
def test_a_demo_destroys_nothing(capsys, tmp_path, monkeypatch, name):
    monkeypatch.setattr("cse.cli.demo.make_voice_note", loaded_nothing)
    (tmp_path / name).write_text("mine")
    (tmp_path / "notes.txt").write_text("also mine")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"cse demo: --output {tmp_path}: got a folder with {name} of another origin")
    assert err.count("\n") == 1
    assert (tmp_path / name).read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


def test_a_demo_with_a_chat_that_cannot_be_read_destroys_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("cse.cli.demo.make_voice_note", loaded_nothing)
    (tmp_path / "voice.wav").write_text("mine")
    (tmp_path / "chat.txt").symlink_to("nowhere")
    assert main(["demo", "--output", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert f"--output {tmp_path}: cannot read: " in err and err.count("\n") == 1


def test_a_demo_goes_where_one_was_before_and_among_other_files(tmp_path, monkeypatch):
    class BegunError(Exception):
        pass

    def begin():
        raise BegunError

    monkeypatch.setattr("cse.cli.demo.make_voice_note", begin)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BegunError):
        main(["demo", "--output", str(tmp_path)])
    (tmp_path / "chat.txt").write_text(  # as every version wrote it
        "Ana: Shall we have dinner together tonight?\n"
        "Ben: Good idea. Which restaurant would you like to go to?\n"
        "Ana: The Italian restaurant by the river. Shall I book a table?\n"
        "Ben: Yes please. At what time should I be at the restaurant?\n"
    )
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(BegunError):
        main(["demo", "--output", str(tmp_path)])


def test_an_interrupted_start_is_one_line(capsys, monkeypatch):
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.import_module", interrupted)
    assert main(["extract", "--help"]) == 130
    assert capsys.readouterr().err == "cse extract: interrupted\n"


def test_the_command_line_is_there_before_anything_heavy():
    """What is imported before `main` can be interrupted only with a traceback."""
    loaded = "import sys, cse.cli; print([name for name in ('numpy', 'torch', 'soundfile') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_demo_does_the_main_job(capsys, tmp_path):
    """The packaged model and the offline chooser, on a note that flite speaks."""
    if not flite_available():
        pytest.skip("needs the program flite")
    pytest.importorskip("pocketsphinx")
    assert main(["demo", "--output", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert "the right voice" in captured.err
    assert captured.err.count("  Ana: ") == captured.err.count("  Ben: ") == 2, "what each turn brought"
    assert result["talkers"] == 2
    assert len(result["turn_attribution"]) == result["context_turns"] == 4
    note, voice = soundfile.info(tmp_path / "voice_note.ogg"), soundfile.info(tmp_path / "voice.wav")
    assert (voice.frames, voice.samplerate) == (note.frames, note.samplerate)
    assert (tmp_path / "spectrograms.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "command",
    ["extract", "doctor", "evaluate", "voices", "shards", "import", "chat", "export", "serve", "bot", "demo",
     "convert-checkpoint"],
)  # fmt: skip
def test_wrong_use_of_every_command_is_one_line(capsys, command):
    with pytest.raises(SystemExit) as left:
        main([command, "--no-such-option"])
    captured = capsys.readouterr()
    assert (left.value.code, captured.out, captured.err.count("\n")) == (2, "", 1)
    assert captured.err.startswith(f"cse {command}") and "--help says what there is" in captured.err
