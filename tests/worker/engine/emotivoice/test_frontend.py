"""The front end against what the original made of the same texts, and against sentences that it misreads."""

import csv
import json
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.worker.engine.emotivoice.frontends import compact, frontend, phonemes, said
from tests.worker.engine.emotivoice.tokenlist import TOKENS
from worker.engine.emotivoice.frontend import mandarin
from worker.engine.emotivoice.frontend.reading import read_text
from worker.engine.errors import EngineUnavailable, UnspeakableText

# Every text of frontend.json that is missing here is spoken as the original speaks it. docs/frontend.md has the rules.
DIFFERENCES: dict[str, tuple[str | None, str]] = {  # text -> our phonemes, or None where we refuse; why
    "昨天iPhone手机丢了": (
        "z uo2 sp0 t ian1 sp1 [AY1 F OW2 N] eng_cn_sp sh ou3 sp0 j i1 sp1 d iou1 sp1 l e5",
        "CMUdict has the name",
    ),
    "2023年11月10日": (
        "er4 sp0 l ing2 sp1 er4 sp0 s an1 sp0 n ian2 sp1 sh iii2 sp0 i1 sp0 y ve4 sp1 sh iii2 sp0 r ii4",
        "a year is read digit by digit",
    ),
    "Room 404 not found": (
        "[R UW1 M] engsp1 [F AO1 R] engsp1 [HH AH1 N D R AH0 D] engsp1 [F AO1 R] engsp1 [N AA1 T] engsp1 [F AW1 N D]",
        "digits in English are read in English",
    ),
    "": (None, "a text without sound is an error, not silence"),
    "。": (None, "a text without sound is an error, not silence"),
    "abc你好": (
        "[EY1 B IY2 S IY2] eng_cn_sp n i3 sp0 h ao3",
        "CMUdict: the alphabet by its letters",
    ),
    "12.5%": (
        "b ai3 sp0 f en1 sp0 zh iii1 sp0 sh iii2 sp1 er4 sp0 d ian3 sp0 u3",
        "the percent sign is said",
    ),
    "It's 5 o'clock, isn't it?": (
        "[IH1 T S] engsp1 [F AY1 V] engsp1 [AH0 K L AA1 K] engsp4 [IH1 Z AH0 N T] engsp1 [IH1 T]",
        "digits in English are read in English",
    ),
    "ｈello": (
        "[HH AH0 L OW1]",
        "full-width letters are letters",
    ),
    "Dr. Smith paid $5.20 on May 3rd.": (
        "[D AA1 K T ER0] engsp1 [S M IH1 TH] engsp1 [P EY1 D] engsp1 [F AY1 V] engsp1 [D AA1 L ER0 Z] engsp1 "
        "[AH0 N D] engsp1 [T W EH1 N T IY0] engsp1 [S EH1 N T S] engsp1 [AA1 N] engsp1 [M EY1] engsp1 [TH ER1 "
        "D]",
        "abbreviation, money and date are read in English",
    ),
    "1,000": (
        "i1 sp0 q ian1",
        "the comma belongs to the number",
    ),
    "-5": (
        "f u4 sp0 u3",
        "the sign is said",
    ),
    "13800138000": (
        "iao1 sp1 s an1 sp0 b a1 sp1 l ing2 sp0 l ing2 sp1 iao1 sp1 s an1 sp0 b a1 sp1 l ing2 sp0 l ing2 sp1 l ing2",
        "a telephone number is read digit by digit",
    ),
    "Wi-Fi": (
        "[W AY1] engsp4 [F AY1]",
        "said as people say it",
    ),
    "e-mail: test@example.com": (
        "[IY1] engsp4 [M EY1 L] engsp4 [T EH1 S T] engsp1 [AE1 T] engsp1 [IH0 G Z AE1 M P AH0 L] engsp1 [D "
        "AA1 T] engsp1 [K AA1 M]",
        "an address is read sign by sign; no phoneme is lost at the colon",
    ),
    '他说:"hello world".': (
        "t a1 sp1 sh uo1 sp1 [HH AH0 L OW1] engsp1 [W ER1 L D]",
        "no phoneme is lost at the quotes",
    ),
    "I have 3.": (
        "[AY1] engsp1 [HH AE1 V] engsp1 [TH R IY1]",
        "digits in English are read in English",
    ),
    "今年是2023.": (
        "j in1 sp0 n ian2 sp1 sh iii4 sp1 er4 sp1 l ing2 sp1 er4 sp0 s an1",
        "a year is read digit by digit",
    ),
    "12345678901234567": (
        "i1 sp0 er4 sp0 s an1 sp0 s ii4 sp0 u3 sp1 l iou4 sp0 q i1 sp1 b a1 sp0 j iou3 sp1 l ing2 sp1 i1 sp0 "
        "er4 sp0 s an1 sp0 s ii4 sp0 u3 sp1 l iou4 sp0 q i1",
        "a long number is read digit by digit",
    ),
    "1..2": (
        "i1 sp3 l ing2 sp0 d ian3 sp1 er4",
        "any text is read",
    ),
    "㊗️你好": (
        "zh u4 sp1 n i3 sp0 h ao3",
        "a character with a plain form is read as that",
    ),
    "䶮": (
        "ian3",
        "pypinyin knows rare characters",
    ),
    "Hello。World": (
        "[HH AH0 L OW1] engsp4 [W ER1 L D]",
        "Chinese punctuation between English words is punctuation",
    ),
    "cats 3": (
        "[K AE1 T S] engsp1 [TH R IY1]",
        "digits in English are read in English",
    ),
    "'": (None, "a text without sound is an error, not silence"),
    "- -": (None, "a text without sound is an error, not silence"),
    "……": (None, "a text without sound is an error, not silence"),
    "《》": (None, "a text without sound is an error, not silence"),
    "U.S.A.": (
        "[Y UW1] engsp1 [EH1 S] engsp1 [EY1]",
        "initials are spelled without pauses, the A by its name",
    ),
}


def sentences() -> list[dict[str, str]]:
    with Path(__file__).with_name("sentences.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def originals(reference: Path) -> list[dict[str, Any]]:
    return json.loads((reference / "frontend.json").read_text("utf-8"))


def test_every_text_of_the_original_is_spoken_alike_or_is_listed_as_different(reference: Path) -> None:
    for entry in originals(reference):
        ours, original = said_or_none(entry["text"]), entry.get("phonemes")
        if entry["text"] in DIFFERENCES:
            assert ours == DIFFERENCES[entry["text"]][0], entry["text"]
        else:
            assert f"<sos/eos> {ours} <sos/eos>" == compact(original or ""), entry["text"]


def test_every_listed_difference_is_one(reference: Path) -> None:
    theirs = {entry["text"]: entry.get("phonemes") for entry in originals(reference)}
    for text, (ours, reason) in DIFFERENCES.items():
        assert compact(theirs[text] or "") != f"<sos/eos> {ours} <sos/eos>", text
        assert reason


def said_or_none(text: str) -> str | None:
    try:
        return said(text)
    except UnspeakableText:
        return None


@pytest.mark.parametrize("text", list(DIFFERENCES))
def test_a_difference_without_the_reference(text: str) -> None:
    assert said_or_none(text) == DIFFERENCES[text][0]


@pytest.mark.parametrize("row", sentences(), ids=lambda row: row["text"])
def test_a_sentence_is_read_and_said(row: dict[str, str]) -> None:
    assert spoken(row["text"]) == row["spoken"]
    assert said(row["text"]) == row["phonemes"]


def spoken(text: str) -> str:
    tokens = [token for token in read_text(text).tokens if token.spoken]
    runs = groupby(tokens, key=lambda token: token.language)
    return " ".join(("" if language == "zh" else " ").join(t.spoken for t in run) for language, run in runs)


def test_what_is_said_is_in_the_official_token_list(reference: Path) -> None:
    official = set((reference / "tokenlist").read_text().split())
    for text in [row["text"] for row in sentences()] + [text for text, (ours, _) in DIFFERENCES.items() if ours]:
        assert set(phonemes(text).tokens) <= official


def test_the_generated_token_list_is_the_official_one_but_for_rare_tokens(reference: Path) -> None:
    official = set((reference / "tokenlist").read_text().split())
    curled = {token for token in official if token[-1] in "12345" and token[-2] == "r" and token[:-1] != "er"}
    assert set(TOKENS) - official <= {"ueng2", "ueng5"}
    assert official - set(TOKENS) - curled <= {"ue2"} | {t for t in official if t.startswith("uncased")}


def test_the_original_reading_of_a_known_model_input(reference: Path) -> None:
    """The Chinese reference vector was made from these tokens."""
    index = json.loads((reference / "index.json").read_text("utf-8"))
    entry = next(entry for entry in index if entry["name"] == "zh")
    assert list(phonemes(entry["content"]).tokens) == entry["phonemes"].split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我来到北京，清华大学", ["我", "来到", "北京", "清华大学"]),
        ("涨了12.5%。", ["涨", "了", "12.5%"]),
        ("2023年11月10日", ["2023年", "11月", "10日"]),
        ("It costs $5.20, OK?", ["It", "costs", "$5.20", "OK"]),
        ("昨天iPhone手机", ["昨天", "iPhone", "手机"]),
        ("On May 3, 2024 we met.", ["On", "May 3, 2024", "we", "met"]),
        ("U.S.A. and e-mail", ["U.S.A.", "and", "e", "mail"]),
        ("我叫[Emoti](/IH0 M OW1/)。", ["我", "叫", "Emoti"]),
    ],
)
def test_a_word_has_its_written_form_and_its_phonemes(text: str, words: list[str]) -> None:
    result = phonemes(text)
    assert [word.written for word in result.words] == words
    ends = [0, *(word.end for word in result.words)]
    for word, end in zip(result.words, ends, strict=False):
        assert word.start == end + 1  # one mark, or the edge, lies between
        assert word.end > word.start
        assert not {result.tokens[word.start], result.tokens[word.end - 1]} & {"sp1", "sp3", "engsp1", "eng_cn_sp"}
    assert ends[-1] == len(result.tokens) - 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好 世界", "n i3 sp0 h ao3 sp1 sh iii4 sp0 j ie4"),
        ("你 好", "n i3 sp1 h ao3"),
        ("你好，世界", "n i3 sp0 h ao3 sp3 sh iii4 sp0 j ie4"),
        ("你好,世界", "n i3 sp0 h ao3 sp3 sh iii4 sp0 j ie4"),
        ("你好……“世界”", "n i3 sp0 h ao3 sp3 sh iii4 sp0 j ie4"),
        ("你好～世界", "n i3 sp0 h ao3 sp1 sh iii4 sp0 j ie4"),
        ("你好，world", "n i3 sp0 h ao3 sp3 [W ER1 L D]"),
        ("你好,world", "n i3 sp0 h ao3 sp1 [W ER1 L D]"),
        ("你好world", "n i3 sp0 h ao3 sp1 [W ER1 L D]"),
        ("world你好", "[W ER1 L D] eng_cn_sp n i3 sp0 h ao3"),
        ("world. 《你好》", "[W ER1 L D] eng_cn_sp n i3 sp0 h ao3"),
        ("love, me", "[L AH1 V] engsp4 [M IY1]"),
        ("love - me", "[L AH1 V] engsp4 [M IY1]"),
        ("love-me", "[L AH1 V] engsp4 [M IY1]"),
        ('love "me"', "[L AH1 V] engsp1 [M IY1]"),
        ("love\nme", "[L AH1 V] engsp1 [M IY1]"),
        ("  ...love me!  ", "[L AH1 V] engsp1 [M IY1]"),
    ],
)
def test_marks_between_words(text: str, expected: str) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "in_words"),
    [
        ("约10⁻⁵", "约十的负五次方"),
        ("约10⁺⁵", "约十的五次方"),
        ("about 10⁻⁵", "about ten to the minus five"),
        ("about 1.5×10⁻¹⁰", "about one point five times ten to the minus ten"),
        ("about 1e-5", "about one times ten to the minus five"),
        ("in s⁻¹", "in s to the minus one"),
        ("付20€ 30€", "付二十欧元 三十欧元"),
    ],
)
def test_a_raised_minus_and_a_sign_behind_its_number_are_said(text: str, in_words: str) -> None:
    assert sounds(text) == sounds(in_words)
    assert phonemes(text).warnings == ()


def sounds(text: str) -> list[str]:
    return [token for token in phonemes(text).tokens if "sp" not in token]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A man", "[AH0] engsp1 [M AE1 N]"),
        ("A股", "[EY1] eng_cn_sp g u3"),
        ("a股", "[EY1] eng_cn_sp g u3"),
        ("Yes. A man", "[Y EH1 S] engsp4 [AH0] engsp1 [M AE1 N]"),
        ("Plan A is", "[P L AE1 N] engsp1 [EY1] engsp1 [IH1 Z]"),
        ("A/B", "[EY1] engsp1 [B IY1]"),
        ("B/A test", "[B IY1] engsp1 [EY1] engsp1 [T EH1 S T]"),
        ("yes / a man", "[Y EH1 S] engsp4 [AH0] engsp1 [M AE1 N]"),
        ("AT&T", "[EY1] engsp1 [T IY1] engsp1 [AH0 N D] engsp1 [T IY1]"),
        ("IDs, PDFs", "[AY1] engsp1 [D IY1 Z] engsp4 [P IY1] engsp1 [D IY1] engsp1 [EH1 F S]"),
        ("ids", "[AY1 D IY1 Z]"),
        ("NASA said HELLO to me", "[N AE1 S AH0] engsp1 [S EH1 D] engsp1 [HH AH0 L OW1] engsp1 [T UW1] engsp1 [M IY1]"),
    ],
)
def test_letters_and_initials(text: str, expected: str) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("你好🚀", "ROCKET"),
        ("太棒了😀", "GRINNING FACE"),
        ("★重点", "BLACK STAR"),
        ("你好こ", "HIRAGANA LETTER KO"),
        ("λόγος ok", "GREEK SMALL LETTER LAMDA"),
        ("Привет you", "CYRILLIC CAPITAL LETTER PE"),
        ("a\x00b", "U+0000"),
        ("𠮷野家", "CJK UNIFIED IDEOGRAPH-20BB7"),
        ("¿Qué?", "INVERTED QUESTION MARK"),
    ],
)
def test_what_is_left_out_is_named(text: str, left_out: str) -> None:
    (warning,) = phonemes(text).warnings
    assert warning.startswith("left out, as this model has no sound for it: ")
    assert left_out in warning


@pytest.mark.parametrize(
    "text", ["你好，世界！", "“Hello,” she said – (really?)", "don't *stop*…", "㊗️好", "𝐇i", "1\u200b2"]
)
def test_punctuation_and_other_forms_of_letters_need_no_warning(text: str) -> None:
    assert phonemes(text).warnings == ()


@pytest.mark.parametrize(
    ("text", "named"),
    [("", "blanks"), (" \n", "blanks"), ("……", "HORIZONTAL ELLIPSIS"), ("🚀こ", "ROCKET"), ("兙", "CJK")],
)
def test_a_text_without_sound_is_refused_and_says_what_it_holds(text: str, named: str) -> None:
    with pytest.raises(UnspeakableText, match=named):
        phonemes(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("呣，噷，欸，哼，嗯", "en2 sp3 h en5 sp3 ai1 sp3 h eng1 sp3 en2"),
        ("略微学习越剧", "l ve4 sp0 uei1 sp1 x ve2 sp0 x i2 sp1 y ve4 sp0 j v4"),
        ("女儿", "n v3 sp0 er2"),
        ("人々", "r en2 sp0 r en2"),
        ("䶮", "ian3"),
    ],
)
def test_rare_syllables(text: str, expected: str) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好", "n i2 sp0 h ao3"),
        ("我很好", "uo3 sp1 h en2 sp1 h ao3"),
        ("一个", "i2 sp0 g e4"),
        ("一起", "i4 sp0 q i3"),
        ("第一名", "d i4 sp0 i1 sp0 m ing2"),
        ("2021年", "er4 sp0 l ing2 sp0 er4 sp1 i1 sp0 n ian2"),
        ("不是", "b u2 sp0 sh iii5"),
        ("不好", "b u4 sp0 h ao3"),
        ("好不好", "h ao3 sp0 b u5 sp0 h ao3"),
        ("看一看", "k an4 sp0 i5 sp0 k an4"),
        ("展览馆", "zh an2 sp0 l an2 sp0 g uan3"),
        ("hello", "[HH] [AH0] [L] [OW1]"),
    ],
)
def test_tone_sandhi_is_an_option(text: str, expected: str) -> None:
    assert " ".join(frontend(tone_sandhi=True).phonemes(text).tokens[1:-1]) == expected


def test_without_the_option_tones_are_the_dictionary_s() -> None:
    assert said("你好，我很好，一月") == "n i3 sp0 h ao3 sp3 uo3 sp1 h en3 sp1 h ao3 sp3 i1 sp0 y ve4"
    assert said("一个，不是") == "i2 sp0 g e4 sp3 b u2 sp0 sh iii5"  # as CC-CEDICT writes them


def test_the_content_is_the_text_itself() -> None:
    assert phonemes("Ｈi, 世界 😀 5%").content == "Ｈi, 世界 😀 5%"
    assert phonemes("他[行](/xing2/)").content == "他行"
    assert phonemes("好\ud83d").content == "好"


def test_a_number_alone_is_read_in_the_default_language() -> None:
    assert compact(" ".join(frontend().phonemes("3", default="en").tokens[1:-1])) == "[TH R IY1]"
    assert said("3") == "s an1"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_found(name: str) -> None:
        return None

    monkeypatch.setattr(mandarin, "find_spec", nothing_found)
    mandarin._cut.cache_clear()  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(EngineUnavailable, match="jieba is missing"):
        mandarin.load()
    monkeypatch.undo()
    mandarin.load()
