"""What holds for the front end whatever the text is."""

import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.worker.engine.emotivoice.frontends import frontend
from tests.worker.engine.emotivoice.tokenlist import TOKENS
from worker.engine.emotivoice.frontend import Frontend, Phonemes
from worker.engine.emotivoice.frontend.phonemes import EDGE
from worker.engine.errors import EngineUnavailable, UnspeakableText
from worker.engine.text.characters import is_mark, tidy
from worker.engine.text.override import OVERRIDE
from worker.engine.text.pinyin import pinyin

ROOT = Path(__file__).resolve().parents[4]
_NUMBERS = "1 23 4.5 2024 ½ v2 II 1,234 ① ⁵ ² ٣ 零下 今年 公元 年 月 日 个 万 第"
_SIGNS = "- / : % $ ￥ , . ， 。 # + & °C ~ – × @ ' 's “ 《 》 （"
_LETTERS = "我 好 呣 䶮 𠮷 々 〇 兙 GPT iPhone a A I U.S. km May don't No. é ß λ λο Ж か 한 ㊗ ㍿ 𝐇 ﬁ xq https"
_OTHERS = "😀 🚀 ★ [行](/xing2/) [a](/AH0/)"
_PARTS = " ".join((_NUMBERS, _SIGNS, _LETTERS, _OTHERS)).split()
_TEXTS = st.one_of(
    st.lists(
        st.sampled_from([*_PARTS, " ", "\n", "\t", "\u200b", "\ufe0f", "\ud800", "\ufdd0", "\x00"]), max_size=25
    ).map("".join),
    st.text(max_size=60),
    st.text(st.characters(codec=None, categories=("L", "N", "S", "P", "M", "C", "Z")), max_size=30),
)


def speak(text: str, *, tone_sandhi: bool = False) -> Phonemes | None:
    """Nothing where it can't be spoken."""
    try:
        return frontend(tone_sandhi=tone_sandhi).phonemes(text)
    except UnspeakableText:
        return None


@settings(max_examples=800, deadline=None)
@given(_TEXTS, st.booleans())
@example("々々", True)
@example("[ ](/xing2/)々", True)
@example("μπ1", False)
@example("e\u0301[x](/AH0/)\u0301", False)
def test_any_text_yields_tokens_of_the_list_or_is_refused(text: str, tone_sandhi: bool) -> None:
    result = speak(text, tone_sandhi=tone_sandhi)
    if result is None:
        return
    assert set(result.tokens) <= set(TOKENS)
    assert result.tokens[0] == result.tokens[-1] == EDGE
    assert EDGE not in result.tokens[1:-1]
    assert result.words
    ends = [0]
    for word in result.words:
        assert word.start == ends[-1] + 1
        assert word.start < word.end
        assert "sp" not in result.tokens[word.start] + result.tokens[word.end - 1]
        ends.append(word.end)
    assert ends[-1] == len(result.tokens) - 1
    result.content.encode()  # no lone surrogates
    assert not OVERRIDE.search(result.content)


@settings(max_examples=1000, deadline=None)
@given(st.characters(codec=None))
def test_a_character_is_said_or_named_or_is_punctuation(character: str) -> None:
    result = frontend().phonemes(f"好{character}好")
    silent = any(result.tokens == frontend().phonemes(text).tokens for text in ("好好", "好 好", "好，好"))
    forms = (tidy(character), tidy(unicodedata.normalize("NFKC", character)))
    assert not silent or result.warnings or any(all(map(is_mark, form)) for form in forms)


@pytest.mark.parametrize(
    "text", ["好" * 10_000, "word " * 2_000, "a" * 5_000, "1" * 5_000, "，" * 5_000 + "好", "䶮" * 3_000]
)
def test_a_very_long_text_is_spoken(text: str) -> None:
    frontend()
    started = time.process_time()
    result = speak(text)
    assert result is not None
    assert len(result.tokens) > 3
    assert time.process_time() - started < 20


def test_a_token_list_that_lacks_sounds_is_refused() -> None:
    with pytest.raises(EngineUnavailable, match=r"lacks \[AH0\], \[B\]"):
        Frontend([token for token in TOKENS if token not in ("[B]", "[AH0]")])


def test_the_builtin_engine_reads_chinese_as_before() -> None:
    """The model's dictionary of phrases is its own: the two differ in these."""
    texts = ["一百二十三", "不是", "地上", "一个人", "大夫", "朝阳", "长大", "得到", "嗲", "重担"]
    program = f"from worker.engine.text.pinyin import pinyin\nprint([pinyin(text) for text in {texts}])"
    alone = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    frontend().phonemes("".join(texts))

    assert str([pinyin(text) for text in texts]) == alone.stdout.strip()


def test_loading_writes_nothing_logs_nothing_and_warns_of_nothing(tmp_path: Path) -> None:
    program = (
        "import tempfile\n"
        "from tests.worker.engine.emotivoice.tokenlist import TOKENS\n"
        "from worker.engine.emotivoice.frontend import Frontend\n"
        "print(len(Frontend(TOKENS).phonemes('你好 hello').tokens), tempfile.gettempdir())"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", program],
        cwd=ROOT,
        env={"TMPDIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout.strip(), done.stderr) == (f"12 {tmp_path}", "")
    assert list(tmp_path.iterdir()) == []


def test_words_are_cut_as_jieba_cuts_them(tmp_path: Path) -> None:
    program = """
import logging, tempfile, warnings
warnings.simplefilter("ignore")
import jieba
jieba.setLogLevel(logging.ERROR)
from worker.engine.emotivoice.frontend import mandarin
texts = ["我来到北京清华大学", "他来到了网易杭研大厦", "小明硕士毕业于中国科学院计算所后在日本京都大学深造",
         "一百二十三个行长着急地上班", "䶮字很少见", "龘靐齉爩鱻麤龗灪吁龖厵", "二零二三年十一月十日幺三八"]
print([text for text in texts if jieba.lcut(text) != list(mandarin.words(text))])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"TMPDIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_readings_are_those_of_pypinyin_with_cc_cedict() -> None:
    program = """
from pypinyin_dict.phrase_pinyin_data import cc_cedict
cc_cedict.load()
from pypinyin import Style, pinyin
from worker.engine.emotivoice.frontend import mandarin
texts = "行长 着急 地上 得到 女儿 略微 越剧 一百 不是 重庆 银行 朝阳 嗯 欸 长大成人 䶮 哪儿 差不多 便宜 觉得 睡觉 还有"
for text in [*texts.split(), "还钱", "音乐", "快乐", "了解", "为什么", "空调", *map(chr, range(0x4E00, 0x9FA6, 7))]:
    theirs = tuple(each[0] for each in pinyin(text, style=Style.TONE3, neutral_tone_with_five=True))
    ours = mandarin.reading(text)
    if ours != theirs and None not in ours:
        print(text, ours, theirs)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
