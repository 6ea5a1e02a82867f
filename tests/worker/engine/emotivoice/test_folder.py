"""Which files of which layout are a model, and what is said where one is missing."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.worker.engine.emotivoice.tiny import GENERATOR, SIZES, STYLE, TABLE, TEXT, TinyModel
from worker.engine.emotivoice.errors import ModelFolderError
from worker.engine.emotivoice.folder import find_model
from worker.engine.emotivoice.loading import load_model

VOCABULARY = "WangZeJun/simbert-base-chinese/vocab.txt"


@pytest.fixture
def tiny(tmp_path: Path) -> TinyModel:
    return TinyModel(tmp_path / "model")


def fine_tuned(tiny: TinyModel, *, table: bool = False) -> Path:
    """`exp/anna` in the folder of the official model, with one speaker more."""
    tiny.write()
    generator = dict(tiny.generator)
    rows = generator["am.spk_tokenizer.weight"]
    generator["am.spk_tokenizer.weight"] = rows[[0, 1, 2, 3, 0]]
    speakers = tiny.texts[f"{TEXT}/speaker2"]
    texts = {
        "exp/anna/info/tokenlist": tiny.texts[f"{TEXT}/tokenlist"],
        "exp/anna/info/speaker": f"{speakers}\nmy voice\n",
        **({"exp/anna/info/README.md": TABLE + "| my voice | Me | M | Mine |\n"} if table else {}),
    }
    replace(tiny, generator=generator, generator_file="exp/anna/ckpt/g_00010000", texts=texts).write()
    return tiny.path / "exp/anna"


def test_the_official_layout(tiny: TinyModel) -> None:
    folder = find_model(tiny.write())

    assert folder.kind == "official"
    assert folder.generator == tiny.path / GENERATOR
    assert folder.style == tiny.path / STYLE
    assert folder.vocabulary == tiny.path / VOCABULARY
    assert folder.tokenlist == tiny.path / TEXT / "tokenlist"
    assert folder.speakers == tiny.path / TEXT / "speaker2"
    assert folder.voices_table == tiny.path / TEXT / "README.md"


def test_the_newest_generator_is_taken_and_discriminators_are_not(tiny: TinyModel) -> None:
    tiny.write()
    for name in ("g_00009999", "g_00150000", "g_00150000.bak", "do_00200000", "g_123"):
        (tiny.path / GENERATOR).with_name(name).touch()

    assert find_model(tiny.path).generator.name == "g_00150000"


def test_a_fine_tuned_model_shares_what_it_does_not_have(tiny: TinyModel) -> None:
    folder = find_model(fine_tuned(tiny))

    assert folder.kind == "fine-tuned"
    assert folder.generator == tiny.path / "exp/anna/ckpt/g_00010000"
    assert folder.style == tiny.path / STYLE
    assert folder.vocabulary == tiny.path / VOCABULARY
    assert folder.speakers == tiny.path / "exp/anna/info/speaker"
    assert folder.voices_table == tiny.path / TEXT / "README.md"


def test_a_fine_tuned_model_has_its_own_voices(tiny: TinyModel) -> None:
    model = load_model(fine_tuned(tiny), sizes=SIZES)

    assert model.speakers == ("8051", "985", "92", "11614", "my voice")
    assert model.config.acoustic.speakers == 5
    assert [voice.name for voice in model.voices] == ["Maria Kasper", "George Pilling", "Anna", "11614", "my voice"]
    assert model.warnings == ("2 voices are not in README.md: 11614, my voice",)


def test_a_table_beside_the_speaker_list_is_the_first_choice(tiny: TinyModel) -> None:
    voice = load_model(fine_tuned(tiny, table=True), sizes=SIZES).voices[-1]

    assert (voice.id, voice.name, voice.gender, voice.description) == ("my voice", "Me", "male", "Mine")


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"there is no folder .*nowhere$"):
        find_model(tmp_path / "nowhere")


def test_an_empty_folder_tells_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError) as caught:
        find_model(tmp_path)

    assert "manifest.json (converted)" in str(caught.value)
    assert "ckpt/g_???????? (official)" in str(caught.value)
    assert str(caught.value).endswith("found nothing")


def test_another_folder_tells_what_is_in_it(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"song{number}.mp3").touch()
    (tmp_path / "covers").mkdir()

    with pytest.raises(ModelFolderError, match=r"found covers/, song0\.mp3, .*song6\.mp3 and 3 more$"):
        find_model(tmp_path)


def test_fine_tuned_models_below_are_offered(tiny: TinyModel) -> None:
    fine_tuned(tiny)
    shutil.rmtree(tiny.path / "outputs")

    with pytest.raises(ModelFolderError, match=r"name one of them: .*exp/anna$"):
        find_model(tiny.path)


def test_every_missing_file_is_named(tiny: TinyModel) -> None:
    tiny.write()
    for name in (STYLE, VOCABULARY, f"{TEXT}/speaker2"):
        (tiny.path / name).unlink()

    with pytest.raises(ModelFolderError) as caught:
        find_model(tiny.path)

    said = str(caught.value)
    assert "the weights of the style encoder (outputs/style_encoder/ckpt/checkpoint_*)" in said
    assert f"nor the vocabulary of the style encoder ({VOCABULARY} or vocab.txt)" in said
    assert f"nor the speaker list ({TEXT}/speaker2 or speaker2)" in said


def test_without_a_table_voices_are_called_by_their_ids(tiny: TinyModel) -> None:
    del tiny.texts[f"{TEXT}/README.md"]

    model = tiny.load()

    assert [(voice.name, voice.gender) for voice in model.voices][:2] == [("8051", "unknown"), ("985", "unknown")]
    assert "no voices table" in model.warnings[0]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (f"{TEXT}/speaker2", "8051\n985\n92\n", "speaker2 lists 3 speakers, but the weights are for 4"),
        (f"{TEXT}/tokenlist", "_\na\nb\nc\nd\ne\n", "tokenlist lists 6 tokens, but the weights are for 5"),
        (VOCABULARY, "[PAD]\n", "vocab.txt lists 1 words, but the weights are for 7"),
        (f"{TEXT}/speaker2", "8051\n985\n8051\n92\n", "has '8051' twice, in lines 1 and 3"),
        (f"{TEXT}/speaker2", "8051\n\n985\n92\n", "line 2 of .*speaker2 is empty"),
        (f"{TEXT}/tokenlist", "\n", "tokenlist is empty"),
    ],
)
def test_a_list_that_does_not_fit_the_weights_is_told(tiny: TinyModel, name: str, text: str, told: str) -> None:
    tiny.texts[name] = text

    with pytest.raises(ModelFolderError, match=told):
        tiny.load()


def test_line_ends_of_windows_change_nothing(tiny: TinyModel) -> None:
    model = tiny.load()
    tiny.texts[f"{TEXT}/speaker2"] = "8051\r\n985\r\n92\r\n11614\r\n\r\n"

    assert tiny.load().speakers == model.speakers
    assert tiny.load().revision == model.revision


def test_a_list_that_is_no_text_is_told(tiny: TinyModel) -> None:
    tiny.write()
    (tiny.path / TEXT / "speaker2").write_bytes(b"\xff\xfe8\x00")

    with pytest.raises(ModelFolderError, match="speaker2 can't be read"):
        load_model(tiny.path, sizes=SIZES)
