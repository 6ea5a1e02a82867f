"""A token list like the official one, by its rules: it has every token that the front end can ask for."""

_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_CONSONANTS = "B CH DH D F G HH JH K L M NG N P R SH S TH T V W Y ZH Z"
_INITIALS = "b p m f d t n l g k h j q x zh ch sh r z c s y"
_FINALS = """a ai an ang ao e ei en eng er i ia ian iang iao ie ii iii in ing iong iou o ong ou u ua uai uan uang uei
uen ueng uo v van ve vn"""
_CURLED = "ar1 uar1 ianr3 err1 rr"
_MARKS = "sp0 sp1 sp2 sp3 sp4 engsp0 engsp1 engsp2 engsp4 cn_eng_sp eng_cn_sp ? . ! spn [LAUGH]"

ARPABET = [f"[{vowel}{stress}]" for vowel in _VOWELS.split() for stress in "012"] + [
    f"[{consonant}]" for consonant in _CONSONANTS.split()
]
MANDARIN = _INITIALS.split() + [final + tone for final in _FINALS.split() for tone in "12345"]
TOKENS = ["_", "<sos/eos>", *ARPABET, *MANDARIN, *_CURLED.split(), *_MARKS.split(), "uncased15"]
