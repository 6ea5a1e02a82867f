"""Where texts are split, and that nothing is lost."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.text.override import OVERRIDE
from worker.engine.text.segmentation import MAX_WEIGHT, PAUSE_SECONDS, Pause, split, weight


def texts(text: str) -> list[str]:
    return [piece.text for piece in split(text)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("你好。再见！真的？", ["你好。", "再见！", "真的？"]),
        ("Mr. Smith met Dr. Jones. They talked.", ["Mr. Smith met Dr. Jones.", "They talked."]),
        ("Use fruit, e.g. apples, i.e. food. Fine.", ["Use fruit, e.g. apples, i.e. food.", "Fine."]),
        ("The U.S. economy grew. Good.", ["The U.S. economy grew.", "Good."]),
        ("I live in the U.S. The weather is fine.", ["I live in the U.S.", "The weather is fine."]),
        ("J. K. Rowling wrote it. Yes.", ["J. K. Rowling wrote it.", "Yes."]),
        ("Pi is 3.14 in v2.0.1. Done.", ["Pi is 3.14 in v2.0.1.", "Done."]),
        ("圆周率是3.14。版本是v2.0.1。", ["圆周率是3.14。", "版本是v2.0.1。"]),
        ("See example.com. Then main.py.", ["See example.com.", "Then main.py."]),
        ("We met at 3 p.m. on Monday. Fine.", ["We met at 3 p.m. on Monday.", "Fine."]),
        ("We met at 3 p.m. Then we left.", ["We met at 3 p.m.", "Then we left."]),
        ("Apples, pears, etc. We like them.", ["Apples, pears, etc.", "We like them."]),
        ("No. 5 is out. I said No. He left.", ["No. 5 is out.", "I said No.", "He left."]),
        ("See fig. 3 and pp. 4-5, vol. 2. Next.", ["See fig. 3 and pp. 4-5, vol. 2.", "Next."]),
        ("I saw a fig. It fell.", ["I saw a fig.", "It fell."]),
        (
            "The Hon. Mr. Lee, cf. Smith, came. So did Maj. Tom.",
            ["The Hon. Mr. Lee, cf. Smith, came.", "So did Maj. Tom."],
        ),
        ("« Oui. » Il part. «Non.» Fin.", ["« Oui. »", "Il part.", "«Non.»", "Fin."]),
        ("“他说‘好。’”她笑了。", ["“他说‘好。’”", "她笑了。"]),
        ("「『好。』他說。」她笑了。", ["「『好。』", "他說。」", "她笑了。"]),
        ("“Go!” he said. “Stay,” she said, “or go.”", ["“Go!” he said.", "“Stay,” she said, “or go.”"]),
        ('"Why?" she asked. "No reason."', ['"Why?" she asked.', '"No reason."']),
        ('He said "Stop." Then he ran.', ['He said "Stop."', "Then he ran."]),
        ("他说：“你好！”她笑了。", ["他说：“你好！”", "她笑了。"]),
        ("「走吧。」他说。", ["「走吧。」", "他说。"]),
        ("（真的吗？）当然。", ["（真的吗？）", "当然。"]),
        ('"你好。"他说。"再见。"', ['"你好。"', "他说。", '"再见。"']),
        ("Wait… what? Go.", ["Wait… what?", "Go."]),
        ("嗯……好吧。", ["嗯……", "好吧。"]),
        ("What?! No way!!! Yes...", ["What?!", "No way!!!", "Yes..."]),
        ("1. The first point. 2. The second.", ["1. The first point.", "2. The second."]),
        ("It happened in 2024. Then it ended.", ["It happened in 2024.", "Then it ended."]),
        ("你好！Hello. 再见。", ["你好！", "Hello.", "再见。"]),
        ("A title\nA text.", ["A title", "A text."]),
        ("A line that was\nwrapped by hand. Next.", ["A line that was wrapped by hand.", "Next."]),
        ("One.\n\n\nTwo.\r\n\r\nThree.", ["One.", "Two.", "Three."]),
        ("One. 😀 *** Two.", ["One.", "😀 *** Two."]),
        ("End of a scene.\n\n***\n\nNext scene.", ["End of a scene. ***", "Next scene."]),
        ("……", ["……"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences(text: str, pieces: list[str]) -> None:
    assert texts(text) == pieces


def test_the_pause_says_why_a_piece_ends() -> None:
    long = "He came late, " * 12 + "and left."
    pauses = [piece.pause for piece in split(f"One. Two.\n\n{long}")]

    assert pauses[:2] == [Pause.SENTENCE, Pause.PARAGRAPH]
    assert set(pauses[2:-1]) == {Pause.PHRASE}
    assert pauses[-1] is Pause.PARAGRAPH


def test_a_longer_break_has_a_longer_pause() -> None:
    assert PAUSE_SECONDS[Pause.PHRASE] < PAUSE_SECONDS[Pause.SENTENCE] < PAUSE_SECONDS[Pause.PARAGRAPH]


def test_a_long_sentence_is_split_at_a_comma() -> None:
    clause = "and then the weather was getting better every single day"
    assert texts(f"{clause}, {clause}, {clause}.") == [f"{clause}, {clause},", f"{clause}."]


@pytest.mark.parametrize("number", ["1,234,567.89", "2024-05-03", "15:30:45", "v12.34.56", "192.168.100.200"])
def test_a_number_is_never_cut(number: str) -> None:
    text = f"{number} " * 40

    assert " ".join(texts(text)).split() == [number] * 40


def test_a_chinese_sentence_without_commas_is_cut_between_words() -> None:
    sentence = "中华人民共和国国家统计局今天发布的数据显示今年第一季度国内经济同比增长百分之五超出了市场的普遍预期。"
    first, *_ = texts(sentence)

    assert weight(first) <= MAX_WEIGHT
    assert not any(first.endswith(half) for half in ("中华人民", "统", "发", "数", "显", "季", "同", "超", "普"))


def test_one_endless_word_stays_whole() -> None:
    assert texts("a" * 500) == ["a" * 500]


_ENGLISH = (
    "Hello",
    "world",
    "don't",
    "U.S.",
    "Mr.",
    "3.14",
    "1,234",
    "v2.0.1",
    "50%",
    "$5",
    "(yes)",
    '"quote"',
    "a" * 50,
)
_CHINESE = ("“好”", "你好", "天气", "，", "。", "！", "、", "……", "——", "）", "’")
_MARKS = (", ", ". ", "? ", ";", ":", "\n", "\n\n", " ", "😀")
_WORDS = st.sampled_from((*_ENGLISH, *_CHINESE, *_MARKS))
_TEXTS = st.one_of(st.lists(_WORDS, max_size=60).map("".join), st.text(max_size=300))


def without_blanks(text: str) -> str:
    return re.sub(r"\s+", "", text)


@settings(max_examples=300, deadline=None)
@given(_TEXTS)
def test_no_character_is_lost(text: str) -> None:
    assert without_blanks("".join(texts(text))) == without_blanks(text)


@settings(max_examples=200, deadline=None)
@given(_TEXTS)
def test_splitting_a_piece_again_changes_nothing(text: str) -> None:
    for piece in texts(text):
        assert without_blanks("".join(texts(piece))) == without_blanks(piece)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["word", "你好", "天气", "longer", "a", "的"]), min_size=1, max_size=200).map(" ".join))
def test_pieces_have_an_upper_bound(text: str) -> None:
    assert all(0 < weight(piece) <= MAX_WEIGHT for piece in texts(text))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.from_regex(r"[A-Za-z]{1,12}|\d{1,3}(,\d{3}){0,2}", fullmatch=True), min_size=1, max_size=120))
def test_english_words_and_numbers_stay_whole(words: list[str]) -> None:
    assert " ".join(texts(" ".join(words))).split() == words


@pytest.mark.parametrize("text", ["word " * 20_000, "好" * 100_000, "a" * 100_000, "a.b." * 25_000, "你好，" * 33_000])
def test_the_longest_text_of_a_job_is_split_in_time_that_grows_with_its_length(text: str) -> None:
    def cpu_seconds(part: str) -> float:
        started = time.process_time()
        split(part)
        return time.process_time() - started

    split(text[:1000])  # dictionaries are read once
    assert cpu_seconds(text) < 40 * max(cpu_seconds(text[: len(text) // 10]), 0.02)


@pytest.mark.parametrize("blanks", [" " * 400_000, "\t" * 400_000, "\n" + " " * 400_000])
def test_blanks_are_looked_at_once(blanks: str) -> None:
    assert texts(f"One{blanks}two.") == ["One two."]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("[行](/xing2 ?/)。好。", ["[行](/xing2 ?/)。", "好。"]),
        (
            "Hello. [Emoti](/IH0 M OW1 . T IY0/) speaks. Bye.",
            ["Hello.", "[Emoti](/IH0 M OW1 . T IY0/) speaks.", "Bye."],
        ),
        ("A [U.S. The](/AH0  B/) b", ["A [U.S. The](/AH0  B/) b"]),
        ("a\ufdd0b. \ufdd1\ufdd1. C.", ["a\ufdd0b.", "\ufdd1\ufdd1.", "C."]),
        ("(a) [b] (/c/) d.", ["(a) [b] (/c/) d."]),
    ],
)
def test_an_override_is_one_word(text: str, pieces: list[str]) -> None:
    assert texts(text) == pieces


def test_a_long_sentence_is_cut_between_overrides() -> None:
    for override, blank in (("[银行](/yin2 hang2/)", ""), ("[live, ok](/L AY1 V , OW1/)", " ")):
        text = blank.join([override] * 60)
        pieces = texts(text)
        assert len(pieces) > 2
        assert blank.join(pieces) == text
        assert all(piece.count("[") == piece.count("/)") for piece in pieces)
        assert all(weight(piece) <= MAX_WEIGHT for piece in pieces)


def test_an_override_weighs_as_much_as_its_word_or_its_phonemes() -> None:
    assert weight("[银行](/x/)") == weight("银行")
    assert weight("[x](/AH0 B AH0 B/)") == 4


_OVERRIDES = st.sampled_from(
    ["[行](/xing2/)", "[a b](/AH0  B ./)", "[", "](/", "/)", "\ufdd0", "\ufdd1", "word. ", "你好，"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_OVERRIDES, max_size=60).map("".join))
def test_no_override_is_lost_or_cut(text: str) -> None:
    pieces = texts(text)
    assert without_blanks("".join(pieces)) == without_blanks(text)
    assert [each for piece in pieces for each in OVERRIDE.findall(piece)] == OVERRIDE.findall(text)
