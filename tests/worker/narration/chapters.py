"""Chapters for the tests, and what becomes of them."""

from collections.abc import Iterator
from random import Random

from shared.jobs import Narration, SpeechRequest
from shared.ports import Part, Segment
from worker.narration import narrate

CAST = Narration(dialogue_voice="d", speakers={"John": "m", "Mary": "f", "玛丽": "f", "约翰": "m"})
# fmt: off
_NOUNS = (
    "river", "harbour", "letter", "window", "garden", "winter", "answer", "captain", "lantern", "market", "bridge",
    "teacher", "forest", "island", "promise", "mirror", "kitchen", "station", "soldier", "orchard",
)
_VERBS = ("crossed", "forgot", "painted", "followed", "remembered", "opened", "carried", "watched", "needed")
_HAN_NOUNS = (
    "河流", "港口", "书信", "窗户", "花园", "冬天", "答案", "船长", "灯笼", "集市", "石桥", "老师", "森林",
    "小岛", "诺言", "镜子",
)
_HAN_VERBS = ("穿过", "忘记", "描绘", "跟随", "记得", "打开", "带走", "看着", "需要", "说起")
# fmt: on


def request(text: str, narration: Narration = CAST) -> SpeechRequest:
    return SpeechRequest(text, "narrator", "neutral", 1.0, 1.0, "flac", 16_000, 0, narration=narration)


def segments(text: str, narration: Narration = CAST) -> list[Segment]:
    return narrate(request(text, narration))


def parts(text: str, narration: Narration = CAST) -> list[Part]:
    return [part for segment in segments(text, narration) for part in segment.parts]


def voices(text: str, narration: Narration = CAST) -> list[tuple[str, str]]:
    """Return who says what; "" is the narrator."""
    return [(part.voice, part.text) for part in parts(text, narration)]


def sentence(random: Random, language: str) -> str:
    """Return a sentence that is not like others."""
    if language == "zh":
        clauses = [
            f"{random.choice(_HAN_NOUNS)}旁的{random.choice(_HAN_NOUNS)}{random.choice(_HAN_VERBS)}了"
            f"第{random.randint(2, 99)}个{random.choice(_HAN_NOUNS)}"
            for _ in range(random.randint(1, 3))
        ]
        return "，".join(clauses) + "。"
    clauses = [
        f"the {random.choice(_NOUNS)} {random.choice(_VERBS)} {random.randint(2, 99)} {random.choice(_NOUNS)}s"
        for _ in range(random.randint(1, 4))
    ]
    text = f"{random.choice(('Once', 'Perhaps', 'Later', 'Often', 'At last'))} {', and '.join(clauses)}."
    return text if random.random() < 0.7 else f"“{text}”"


def chapter(random: Random, paragraphs: int) -> list[list[str]]:
    """Return the sentences of each paragraph, in two languages; every tenth or so is long."""
    return [list(_paragraph(random)) for _ in range(paragraphs)]


def _paragraph(random: Random) -> Iterator[str]:
    language = random.choice(("zh", "en"))
    for _ in range(random.randint(15, 40) if random.random() < 0.15 else random.randint(1, 8)):
        yield sentence(random, language)


def written(sentences: list[list[str]]) -> str:
    return "\n\n".join((" " if one[0].isascii() or one[0][0] == "“" else "").join(one) for one in sentences)


def reworded(random: Random, old: str, language: str) -> str:
    """Return the sentence with another word in it."""
    if language == "zh":
        return old.replace("的", f"的{random.choice(_HAN_NOUNS)}和", 1)
    place = random.choice([at for at, character in enumerate(old) if character == " "])
    return f"{old[:place]} {random.choice(('truly', 'never', 'not'))}{old[place:]}"
