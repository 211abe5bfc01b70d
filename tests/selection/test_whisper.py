from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cse.errors import CheckpointError, ConfigError
from cse.selection.whisper import WhisperTranscriber, _Heard


def test_words_carry_confidence_and_the_times_of_their_piece(tiny_whisper: Path, babble: np.ndarray) -> None:
    transcript = WhisperTranscriber(tiny_whisper, language="en").transcribe(babble, 16000)
    assert transcript.words
    assert all(word.text and word.text == word.text.strip() for word in transcript.words)
    assert "<|" not in transcript.text
    assert all(0 < word.confidence <= 1 for word in transcript.words)
    assert {(word.start_s, word.end_s) for word in transcript.words} == {(0.0, 2.0)}


def test_confidences_are_the_probabilities_of_greedy_decoding(tiny_whisper: Path, babble: np.ndarray) -> None:
    """The reference decodes token by token; the transcriber reads all probabilities off one pass."""
    import torch
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    from cse.selection.transcriber import prepare_speech

    transcriber = WhisperTranscriber(tiny_whisper, language="de")
    speech = prepare_speech(babble, 16000)
    assert speech is not None
    heard = transcriber._recognise([speech])[0].tokens

    processor = WhisperProcessor.from_pretrained(tiny_whisper)
    model = WhisperForConditionalGeneration.from_pretrained(tiny_whisper).eval()
    features = processor.feature_extractor(speech, sampling_rate=16000, return_tensors="pt").input_features
    prompt = ["<|startoftranscript|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>"]
    tokens = processor.tokenizer.convert_tokens_to_ids(prompt)
    suppressed = model.generation_config.suppress_tokens
    expected = []
    while len(tokens) < len(prompt) + 16:
        with torch.no_grad():
            log_p = (
                model(input_features=features, decoder_input_ids=torch.tensor([tokens]))
                .logits[0, -1]
                .log_softmax(-1)
            )
        allowed = log_p.clone()
        allowed[suppressed] = -torch.inf
        best = int(allowed.argmax())
        if best == model.generation_config.eos_token_id:
            break
        tokens.append(best)
        expected.append((best, float(log_p[best])))
    assert [token for token, _ in heard] == [token for token, _ in expected]
    np.testing.assert_allclose([p for _, p in heard], [p for _, p in expected], atol=1e-4)


def test_a_batch_gives_what_single_calls_give(tiny_whisper: Path, babble: np.ndarray) -> None:
    transcriber = WhisperTranscriber(tiny_whisper, language="en", batch_size=2)
    voices = [babble, np.zeros(16000, np.float32), babble[:16000], np.tile(babble, 20)]
    together = transcriber.transcribe_batch(voices, 16000)
    assert [one.text for one in together] == [transcriber.transcribe(voice, 16000).text for voice in voices]
    assert together[1].words == ()
    assert together[3].words[-1].end_s == 40.0, "longer than 30 s: in pieces"


def test_the_language_must_be_one_of_the_model(tiny_whisper: Path) -> None:
    WhisperTranscriber(tiny_whisper, language="German")
    with pytest.raises(ConfigError, match=r"got language='fr', expected one of: de, en"):
        WhisperTranscriber(tiny_whisper, language="fr")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected a Whisper model"):
        WhisperTranscriber(tmp_path)


def test_a_name_without_hf_is_never_downloaded() -> None:
    with pytest.raises(CheckpointError, match="to download a model write hf://openai/whisper-small"):
        WhisperTranscriber("openai/whisper-small")


def test_a_word_is_as_sure_as_all_of_its_tokens_together(tiny_whisper: Path) -> None:
    transcriber = WhisperTranscriber(tiny_whisper, language="en")
    tokenizer = transcriber._processor.tokenizer
    tokens = tokenizer(" where at", add_special_tokens=False).input_ids
    names = tokenizer.convert_ids_to_tokens(tokens)
    starts = [position for position, name in enumerate(names) if name.startswith("Ġ")]
    assert len(starts) == 2 and len(tokens) > 2, "one of the words has several tokens"
    words = transcriber._words([(token, float(np.log(0.5))) for token in tokens], 0.0, 1.0)
    assert [word.text for word in words] == ["where", "at"]
    counts = [starts[1] - starts[0], len(tokens) - starts[1]]
    assert [word.confidence for word in words] == pytest.approx([0.5**count for count in counts])


@pytest.mark.parametrize(
    ("text", "log_p", "p_no_speech", "made_up"),
    [
        (" where shall we meet", -0.5, 0.0, False),
        (" where shall we meet", -0.5, 0.9, False),  # sure of the words
        (" where shall we meet", -1.5, 0.5, False),  # rather speech
        (" where shall we meet", -1.5, 0.9, True),
        (" where shall we meet" * 20, -0.1, 0.0, True),
        ("", -1.5, 0.9, False),
    ],
)
def test_sentences_that_whisper_makes_up_are_left_out(
    tiny_whisper: Path, text: str, log_p: float, p_no_speech: float, made_up: bool
) -> None:
    transcriber = WhisperTranscriber(tiny_whisper, language="en")
    tokens = transcriber._processor.tokenizer(text, add_special_tokens=False).input_ids
    assert transcriber._is_made_up(_Heard([(token, log_p) for token in tokens], p_no_speech)) is made_up


def test_the_probability_of_no_speech_is_that_of_its_token(tiny_whisper: Path, babble: np.ndarray) -> None:
    import torch
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    heard = WhisperTranscriber(tiny_whisper, language="de")._recognise([babble])[0]
    processor = WhisperProcessor.from_pretrained(tiny_whisper)
    model = WhisperForConditionalGeneration.from_pretrained(tiny_whisper).eval()
    features = processor.feature_extractor(babble, sampling_rate=16000, return_tensors="pt").input_features
    start, silent = processor.tokenizer.convert_tokens_to_ids(["<|startoftranscript|>", "<|nospeech|>"])
    with torch.no_grad():
        logits = model(input_features=features, decoder_input_ids=torch.tensor([[start]])).logits
    assert heard.p_no_speech == pytest.approx(float(logits[0, 0].softmax(-1)[silent]), rel=1e-3)
