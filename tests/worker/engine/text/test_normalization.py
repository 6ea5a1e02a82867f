"""What is read for what is written, in both languages, and that nothing vanishes."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.engine.errors import UnspeakableText
from worker.engine.text.characters import is_mark, tidy
from worker.engine.text.normalization import normalize, read, spoken_text
from worker.engine.text.rules import Rule

ENGLISH = [
    ("It weighs 2.5 kg and costs €20.", "it weighs two point five kilograms and costs twenty euros ."),
    ("The temperature is -5°C today.", "the temperature is minus five degrees Celsius today ."),
    ("She was born in 1995.", "she was born in nineteen ninety five ."),
    ("It ran from 1905 to 2000.", "it ran from nineteen oh five to two thousand ."),
    ("In 2008 and in 2024.", "in two thousand eight and in twenty twenty four ."),
    ("The 1990s and the '80s.", "the nineteen nineties and the eighties ."),
    ("He has 1,000,000 followers.", "he has one million followers ."),
    ("2010 visitors came.", "two thousand ten visitors came ."),
    ("1984 pages", "one thousand nine hundred eighty four pages"),
    ("2010-2020", "twenty ten to twenty twenty"),
    ("At 8:05 a.m. we left.", "at eight oh five A M we left ."),
    ("The meeting is at 15:30.", "the meeting is at fifteen thirty ."),
    ("It's 5:00.", "it's five o'clock ."),
    ("from 9am to 5 p.m.", "from nine A M to five P M"),
    ("On May 3, 2024 we met.", "on May third twenty twenty four we met ."),
    ("on Dec. 25th", "on December twenty fifth"),
    ("3 May 2024", "the third of May twenty twenty four"),
    ("in June 2023", "in June twenty twenty three"),
    ("2024-05-03", "May third twenty twenty four"),
    ("5/31/2024", "May thirty first twenty twenty four"),
    ("A population of 7.9 billion.", "A population of seven point nine billion ."),
    ("He came 3rd, she 21st.", "he came third , she twenty first ."),
    ("About 3/4 of them, 1/2 cup.", "about three quarters of them , one half cup ."),
    ("2½ cups", "two and one half cups"),
    ("open 24/7", "open twenty four seven"),
    ("a 16:9 screen", "a sixteen to nine screen"),
    ("Call +1 555 123 4567 now.", "call one five five five one two three four five six seven now ."),
    (
        "(555) 123-4567 or 555-1234",
        "five five five one two three four five six seven or five five five one two three four",
    ),
    ("My PIN is 0420.", "my pin is zero four two zero ."),
    ("flight BA2490", "flight B A two four nine zero"),
    ("3.5%-4%, 50-60%", "three point five percent to four percent , fifty to sixty percent"),
    ("-2.5%", "minus two point five percent"),
    ("$1,234.56", "one thousand two hundred thirty four dollars and fifty six cents"),
    ("$1, $0.50, £3.20", "one dollar , fifty cents , three pounds and twenty pence"),
    ("$1.5 billion, €3M, 100 USD", "one point five billion dollars , three million euros , one hundred dollars"),
    ("¥500 and RMB 20", "five hundred yuan and twenty yuan"),
    ("v2.0.1 and GPT-4", "v two point zero point one and G P T four"),
    ("Model v1.10 beats v1.9.", "model v one point ten beats v one point nine ."),
    ("Open main.py on example.com.", "open main dot py on example dot com ."),
    ("mail a.b@c.com", "mail a dot b at c dot com"),
    ("https://www.example.com/a-b", "https W W W dot example dot com slash a dash b"),
    ("a GPU, an API and NASA", "a G P U , an A P I and nasa"),
    ("AT&T, R&D, C++", "A T and T , R and D , C plus plus"),
    ("iPhone, YouTube, OpenAI", "i phone , you tube , open A I"),
    ("STOP RIGHT NOW!", "stop right now !"),
    ("Dr. Smith vs. Mr. Jones", "Doctor smith versus Mister jones"),
    ("e.g. the U.S.", "for example the U S"),
    ("H2O and CO2", "H two O and C O two"),
    ("10 × 5 = 50, 5-3=2, 10^6", "ten times five equals fifty , five minus three equals two , ten to the power of six"),
    ("x < 5 and y ≥ 3", "x less than five and y at least three"),
    ("10-15 minutes, ~5", "ten to fifteen minutes , about five"),
    ("No. 5 and #7", "number five and number seven"),
    ("World War II, Louis XIV, Chapter IV", "world war two , louis fourteenth , chapter four"),
    (
        "60 km/h, 1 kg, 6 ft, 5 m², 3 GHz",
        "sixty kilometers per hour , one kilogram , six feet , five square meters , three gigahertz",
    ),
    ("café, naïve, Straße, John’s", "cafe , naive , strasse , john's"),
    ("5k, 0.5, 007", "five thousand , zero point five , zero zero seven"),
    ("π and Ω", "pie and omega"),
    ("A²", "A squared"),
    ("10^-5 and 2.5^2", "ten to the minus five and two point five to the power of two"),
    ("about 1e-5", "about one times ten to the minus five"),
    ("-2.5E+3 kg", "minus two point five times ten to the power of three kilograms"),
    ("pay 20€ 30€", "pay twenty euros thirty euros"),
    ("20 € 30 € or 20.50€", "twenty euros thirty euros or twenty euros and fifty cents"),
    ("in 2020 $5, $20 $30", "in twenty twenty five dollars , twenty dollars thirty dollars"),
]

CHINESE = [
    ("今天是2024年5月3日。", "今天是二零二四年五月三日 ."),
    ("会议在2024-05-03 15:30开始。", "会议在二零二四年五月三日十五点三十分开始 ."),
    ("截止2024/12/31为止", "截止二零二四年十二月三十一日为止"),
    ("90年代和1990年代", "九十年代和一九九零年代"),
    ("08年奥运会", "零八年奥运会"),
    ("20世纪", "二十世纪"),
    ("下午3:05，8:00", "下午三点零五分 , 八点"),
    ("9:00-17:00营业", "九点到十七点营业"),
    ("用时1:02:03秒表", "用时一点零二分零三秒秒表"),
    ("价格是￥1,234.56。", "价格是一千二百三十四点五六元 ."),
    ("卖￥99.9元", "卖九十九点九元"),
    ("涨到$20.5，约€3", "涨到二十点五美元 , 约三欧元"),
    ("融资$500万", "融资五百万美元"),
    ("花了100美元和200元", "花了一百美元和二百元"),
    ("共100 USD", "共一百美元"),
    ("增长了3.5%，下降了-2%", "增长了百分之三点五 , 下降了负百分之二"),
    ("大约50–60%", "大约百分之五十到六十"),
    ("大约30%~50%", "大约百分之三十到百分之五十"),
    ("占５０％", "占百分之五十"),
    ("千分之一是1‰", "千分之一是千分之一"),
    ("第2名有2个人", "第二名有两个人"),
    ("2万，20000，22000", "两万 , 两万 , 两万两千"),
    ("12本书，10个", "十二本书 , 十个"),
    ("数10500和100050", "数一万零五百和十万零五十"),
    ("数120003000", "数一亿两千万三千"),
    ("数100000000", "数一亿"),
    ("0.05和3.14", "零点零五和三点一四"),
    ("2月2日2点", "二月二日两点"),
    ("2小时30分钟", "两小时三十分钟"),
    ("温度是-5℃。", "温度是负五摄氏度 ."),
    ("速度是120km/h，重25kg", "速度是一百二十公里每小时 , 重二十五千克"),
    ("身高1.75m，面积80㎡", "身高一点七五米 , 面积八十平方米"),
    ("电话13800138000", "电话幺三八零零幺三八零零零"),
    ("座机010-12345678", "座机零幺零幺二三四五六七八"),
    ("请拨打400-800-8888。", "请拨打四零零八零零八八八八 ."),
    ("验证码是123456", "验证码是一二三四五六"),
    ("房间号码305", "房间号码三零五"),
    ("3-5个，10~20岁", "三到五个 , 十到二十岁"),
    ("比分3:2，比分是21-19", "比分三比二 , 比分是二十一比十九"),
    ("比例是16:9。", "比例是十六比九 ."),
    ("3/4的人，1/3", "四分之三的人 , 三分之一"),
    ("2½杯", "二又二分之一杯"),
    ("GPT-4 和 v2.0.1 发布了", "G P T 四和 v 二点零点一发布了"),
    ("我买了iPhone 15。", "我买了 i phone 十五 ."),
    ("iPhone 15 Pro 卖 8999 元", "i phone fifteen pro 卖八千九百九十九元"),
    ("5G网络和4K电视", "五 G 网络和四 K 电视"),
    ("A股上涨2.5个百分点", "A 股上涨二点五个百分点"),
    ("他说 I have 3 apples 然后走了。", "他说 I have three apples 然后走了 ."),
    ("我用C++写R&D", "我用 C 加加写 R and D"),
    ("计算3+2=5，3×4，8÷2", "计算三加二等于五 , 三乘四 , 八除以二"),
    ("5-3=2", "five minus three equals two"),
    ("计算5-3=2", "计算五减三等于二"),
    ("100%满意！真的？", "百分之百满意 ! 真的 ?"),
    ("二〇二四年", "二〇二四年"),
    ("第21届，No.1", "第二十一届 , 一号"),
    ("微信ID是8812345", "微信 I D 是八八一二三四五"),
    ("约10^-5", "约十的负五次方"),
    ("约1e-5米", "约一乘十的负五次方米"),
    ("它大约重1e-5 kg", "它大约重一乘十的负五次方千克"),
    ("付20€ 30€", "付二十欧元三十欧元"),
]


@pytest.mark.parametrize(("written", "spoken"), ENGLISH)
def test_english(written: str, spoken: str) -> None:
    assert spoken_text(written) == spoken


@pytest.mark.parametrize(("written", "spoken"), CHINESE)
def test_chinese(written: str, spoken: str) -> None:
    assert spoken_text(written) == spoken


def test_text_without_letters_is_read_in_the_default_language() -> None:
    assert (spoken_text("123", "en"), spoken_text("123", "zh")) == ("one hundred twenty three", "一百二十三")


def test_a_number_is_one_token_as_it_was_written() -> None:
    assert [(t.written, t.spoken) for t in normalize("涨了3.5%")] == [
        ("涨", "涨"),
        ("了", "了"),
        ("3.5%", "百分之三点五"),
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Привет", "CYRILLIC CAPITAL LETTER PE"),
        ("你好 こんにちは", "HIRAGANA LETTER KO"),
        ("안녕", "HANGUL SYLLABLE AN"),
        ("I love 🚀", "ROCKET"),
        ("...", "FULL STOP"),
        ("😀", "GRINNING FACE"),
        ("  \n", "blanks"),
        ("", "blanks"),
        ("a\x00b", r"U\+0000"),
        ("Ελλάδα", "GREEK SMALL LETTER ALPHA WITH TONOS"),
        ("Ελλας", "Greek"),
        ("a Ϊ", "GREEK CAPITAL LETTER IOTA WITH DIALYTIKA"),
    ],
)
def test_what_nothing_can_read_is_named(text: str, named: str) -> None:
    with pytest.raises(UnspeakableText, match=named):
        normalize(text)


def test_listed_emoji_and_ornaments_are_marks() -> None:
    assert spoken_text("太棒了😀★，好！") == "太棒了 , 好 !"


_NUMBERS = ("1", "23", "4.5", "2024", "½", "v2", "II", "1,234", "①")
_SIGNS = ("-", "/", ":", "%", "$", "￥", ",", ".", "，", "。", " ", "#", "+", "&", "°C", "~", "–", "\n", "×", "@")
_LETTERS = (
    "年",
    "月",
    "日",
    "个",
    "万",
    "第",
    "我",
    "好",
    "GPT",
    "iPhone",
    "a",
    "U.S.",
    "km",
    "May",
    "'s",
    "don't",
    "No.",
    "é",
)
_PARTS = st.sampled_from((*_NUMBERS, *_SIGNS, *_LETTERS))


@settings(max_examples=500, deadline=None)
@given(st.lists(_PARTS, min_size=1, max_size=25).map("".join))
def test_nothing_vanishes_and_what_is_spoken_can_be_spoken(text: str) -> None:
    try:
        tokens = normalize(text)
    except UnspeakableText:
        assert all(map(is_mark, tidy(text)))
        return
    assert re.sub(r"\s", "", "".join(t.written for t in tokens)) == re.sub(r"\s", "", tidy(text))
    for token in tokens:
        silent = all(map(is_mark, token.written))
        pattern = r"[\u3400-\u9fff〇]+" if token.language == "zh" else r"[A-Za-z']+( [A-Za-z']+)*"
        assert re.fullmatch(pattern, token.spoken) or (silent and token.spoken == ""), token


def test_a_caller_may_hold_what_it_says_itself_and_bring_rules() -> None:
    rule = Rule(re.compile("x+"), lambda match, say: say.cardinal(str(len(match[0]))), "en")
    tokens = read("5 cats xxx", "en", held=[(2, 6)], rules=[rule])

    assert [(t.written, t.spoken, t.start, t.end) for t in tokens] == [
        ("5", "five", 0, 1),
        ("cats", "", 2, 6),
        ("xxx", "three", 7, 10),
    ]


@pytest.mark.parametrize("unit", ["1/", "-1", "%", "1-", "1·", "$", "°", "20€", "2024-"])
def test_symbols_without_letters_cost_their_number_and_not_its_square(unit: str) -> None:
    """A look from each to the nearest letter would take hours."""
    text = (unit * 100_000)[:100_000]
    assert "".join(token.written for token in normalize(text)) == text


def test_what_may_be_an_address_is_looked_for_once() -> None:
    assert [token.language for token in normalize("a" * 500_000)] == ["en"]


def test_blanks_behind_a_word_for_a_code_are_looked_at_once() -> None:
    assert len(normalize("PIN" + " " * 500_000 + ".")) == 2


def test_an_amount_may_have_any_number_of_digits() -> None:
    assert spoken_text(f"${'9' * 5000}.50").endswith("nine dollars and fifty cents")


def test_a_token_knows_its_place() -> None:
    text = "涨了3.5%, up  2 times."
    assert [text[token.start : token.end].strip() for token in normalize(text)] == [t.written for t in normalize(text)]
