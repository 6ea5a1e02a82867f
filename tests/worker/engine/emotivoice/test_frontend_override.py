"""The sounds a writer gives a word himself."""

import pytest

from tests.worker.engine.emotivoice.frontends import phonemes, said
from worker.engine.errors import UnspeakableText
from worker.engine.text.override import without_overrides


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Emoti](/IH0 M OW1 T IY0/)", "[IH0 M OW1 T IY0]"),
        ("[Emoti](/[IH0] [M] [OW1] [T] [IY0]/)", "[IH0 M OW1 T IY0]"),
        ("[行](/xing2/)", "x ing2"),
        ("[银行](/yin2 hang2/)", "in2 sp0 h ang2"),
        ("[银行](/yin2 sp1 hang2/)", "in2 sp1 h ang2"),
        ("[女](/nü3/)[女](/nv3/)", "n v3 sp1 n v3"),
        ("[绿](/lü4/)[略](/lüe4/)[月](/yue4/)", "l v4 sp1 l ve4 sp1 y ve4"),
        ("[花儿](/huar1/)", "h uar1"),
        ("[好](/h ao3/)", "h ao3"),
        ("[好啊](/h ao3 sp2 a5/)", "h ao3 sp2 a5"),
        ("[我](/uo3/)", "uo3"),
        ("[呣](/m2/)", "en2"),
        ("我[行](/xing2/)，他不行", "uo3 sp1 x ing2 sp3 t a1 sp1 b u4 sp0 x ing2"),
        ("我叫[Emoti](/IH0 M OW1/)好", "uo3 sp1 j iao4 sp1 [IH0 M OW1] eng_cn_sp h ao3"),
        ("love [me](/M IY1/), you", "[L AH1 V] engsp1 [M IY1] engsp4 [Y UW1]"),
        ("I have [3](/TH R IY1/) cats", "[AY1] engsp1 [HH AE1 V] engsp1 [TH R IY1] engsp1 [K AE1 T S]"),
        ("[Привет](/P R IH0 V Y EH1 T/) 5 times", "[P R IH0 V Y EH1 T] engsp1 [F AY1 V] engsp1 [T AY1 M Z]"),
    ],
)
def test_an_override_is_said_as_it_is_written(text: str, expected: str) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[行](/xing6/)", "the phonemes of '行' hold 'xing6', which this model can't say; allowed are ARPAbet"),
        ("[a](/AH0 QQ1/)", "'QQ1'"),
        ("[a](/AH/)", "'AH'.*stress digit"),
        ("[a](/xyz1/)", "'xyz1'"),
        ("[a](/_/)", "'_'"),
        ("[a](/uncased15/)", "'uncased15'"),
        ("[a](//)", "hold no sound"),
        ("[a](/ sp1 /)", "hold no sound"),
    ],
)
def test_unknown_sounds_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(UnspeakableText, match=message):
        phonemes(text)


@pytest.mark.parametrize("text", ["[a] (/AH0/)", "[a](AH0)", "a (/b/) c", "[a](/AH0", "[[a](/b", "x[1](/2"])
def test_what_is_no_override_is_text(text: str) -> None:
    assert "[" in phonemes(text).content or "(" in phonemes(text).content


def test_an_engine_that_cannot_follow_gets_the_words() -> None:
    assert without_overrides("我[行](/xing2/)，[Emoti](/IH0 M/)!") == ("我行，Emoti!", True)
    assert without_overrides("plain [text] (here)") == ("plain [text] (here)", False)


def test_a_word_may_hold_what_no_voice_can_say() -> None:
    result = phonemes("[こ](/k uo1/)好")
    assert result.warnings == ()
    assert [word.written for word in result.words] == ["こ", "好"]
