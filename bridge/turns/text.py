"""What the words so far say about whether their speaker is done. Pure; a small list of words a language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SENTENCE_ENDS: Final = (".", "!", "。", "！", "।")
QUESTIONS: Final = ("?", "？", "؟")
GOES_ON: Final = ("…", "...", ",", ";", ":", "-", "–", "—", "、", "，")
"""Whisper writes these behind what it takes for cut off or for one of several."""

_WORD: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_NUMBER: Final = re.compile(r"[\d][\d\s.,/-]*$")

WHOLE_NUMBERS: Final = frozenset({1, 2, 4, 5, 7, 8, 10, 11, 12, 16})
"""How many digits numbers have that people say on the phone: counts and hours, years and PINs, ZIP codes, dates, local
and national numbers, cards. Three, six or nine are groups of a longer one.
"""


def _words(*lists: str) -> frozenset[str]:
    return frozenset(word for text in lists for word in text.split())


TRAILING: Final[Mapping[str, frozenset[str]]] = {
    "en": _words(
        "and or but because if when while although though which who whose than as like nor plus unless until",
        "a an the my your his her its our their every each no another",
        "of to in on at for from with by about into onto over under between without within through during per via",
        "is are was were am be been has have had do does did will would can could should may might must shall",
        "i he she we they it's i'm i'd i'll i've we're they're you're there's that's what's and/or",
        "not just very really also press either both",
    ),
    "de": _words(
        "und oder aber weil wenn dass ob als damit denn sondern sowie",
        "der die das den dem des ein eine einen einem einer mein meine meinen ihr ihre sein seine kein keine",
        "von zu in an auf für mit bei aus nach über unter zwischen ohne durch im am zum zur vom beim",
        "ist sind war waren bin habe hat haben wird werden kann ich er sie wir es nicht sehr auch",
    ),
    "es": _words(
        "y e o u pero porque si cuando que como aunque mientras pues",
        "el la los las un una unos unas mi mis su sus tu este esta esto estos estas",
        "de del a al en con por para sin sobre entre desde hasta según",
        "es son está están era fue ha han he hay yo no muy más también lo le se me te nos",
    ),
    "fr": _words(
        "et ou mais parce car si quand que qui comme donc puisque",
        "le la les un une des du de au aux mon ma mes son sa ses ce cette ces votre vos notre nos leur",
        "à en dans sur sous pour par avec sans chez entre vers depuis",
        "est sont était a ont ai je tu il elle on nous vous ils ne pas très plus aussi se me",
    ),
    "it": _words(
        "e o ma perché se quando che come anche mentre quindi",
        "il lo la i gli le un uno una mio mia suo sua questo questa",
        "di del della dei delle a al alla ai alle da dal dalla in nel nella con su sul sulla per tra fra",
        "è sono era ha hanno ho non molto più si mi ti ci",
    ),
    "pt": _words(
        "e ou mas porque se quando que como embora",
        "o a os as um uma meu minha seu sua este esta",
        "de do da dos das em no na nos nas com por para sem sobre entre até",
        "é são está era foi tem têm eu não muito mais também",
    ),
    "ru": _words(
        "и или но а потому если когда что который как чтобы",
        "в на с со к по за из от до для без о об у при через между",
        "я мы он она они не мой моя ваш это",
    ),
}
"""Words that nobody ends a sentence with, unless it is left unsaid."""

FILLERS: Final[Mapping[str, frozenset[str]]] = {
    "en": _words("um uh uhm erm er hmm hm mm eh ah well so like"),
    "de": _words("äh ähm hm öhm also na"),
    "es": _words("eh em este pues mmm bueno"),
    "fr": _words("euh heu hein ben bah"),
    "it": _words("eh ehm mmm allora cioè"),
    "pt": _words("hum hã é então"),
    "ru": _words("э эм ну мм"),
}

BACKCHANNELS: Final[Mapping[str, frozenset[str]]] = {
    "en": _words(
        "mm-hm mhm mm-hmm mmhm uh-huh uh huh mm hm hmm yeah yep yes ok okay right sure aha ah oh i see got it"
    ),
    "de": _words("mhm hm ja genau ok okay klar aha ach so gut"),
    "es": _words("mhm ajá sí vale claro ok okay ya bueno"),
    "fr": _words("mhm hm oui ouais d'accord ok okay ah bon voilà"),
    "it": _words("mhm sì certo ok okay va bene ah già"),
    "pt": _words("mhm sim tá ok okay certo ah claro"),
    "ru": _words("да угу ага ок окей понятно ясно так"),
}
MOST_BACKCHANNEL_WORDS: Final = 4

ANSWERS: Final[Mapping[str, frozenset[str]]] = {
    "en": _words("no nope thanks thank you bye goodbye correct exactly please never mind"),
    "de": _words("nein nee danke bitte tschüss richtig"),
    "es": _words("no gracias adiós correcto exacto"),
    "fr": _words("non merci revoir exactement"),
    "it": _words("no grazie esatto"),
    "pt": _words("não obrigado obrigada exato"),
    "ru": _words("нет спасибо верно"),
}
"""Beside the signs of listening, what is a whole turn by itself."""

DOZEN: Final = 12

_ASKED_FOR: Final = re.compile(
    r"(?:name|address|number|e-?mail|birthday|birth|code|account|order|reference|extension)\s+(?:is|was|are)\W*$"
    r"|(?:name|nummer|adresse)\s+(?:ist|lautet)\W*$|(?:nombre|número|dirección|numéro|adresse|nom)\s+(?:es|est)\W*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cues:
    """What is seen in a text. Each is a yes or no that a person can check."""

    sentence: bool = False
    """It ends as a sentence does."""
    question: bool = False
    cut_off: bool = False
    """It ends in a comma, a dash or dots."""
    trailing: bool = False
    """Its last word wants another: `and`, `the`, `of`."""
    filler: bool = False
    """Its last word is `um` or its like."""
    promised: bool = False
    """`my address is`: what was announced has not come."""
    digits: bool = False
    """It ends in a number."""
    half_number: bool = False
    """It ends in a number of which a group seems to be missing."""
    short: bool = False
    """One or two words."""
    answer: bool = False
    """Nothing but yes, no or thanks."""
    length: float = 0.0
    """Words, in dozens; 1 for more."""


def cues(text: str, language: str = "en") -> Cues:
    """Of all that a turn says so far; `language` as Whisper names it, others than those listed have marks alone."""
    text = text.strip()
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
    if not words:
        return Cues()
    last = words[-1]
    number = _NUMBER.search(text.rstrip(".!?,;:…- "))
    count = sum(mark.isdigit() for mark in number.group()) if number else 0
    return Cues(
        sentence=text.endswith(SENTENCE_ENDS) and not text.endswith(GOES_ON),
        question=text.endswith(QUESTIONS),
        cut_off=text.endswith(GOES_ON),
        trailing=last in TRAILING.get(language, frozenset()),
        filler=last in FILLERS.get(language, frozenset()),
        promised=_ASKED_FOR.search(text) is not None,
        digits=count > 0,
        half_number=count > 0 and count not in WHOLE_NUMBERS,
        short=len(words) <= 2,  # as its docstring says
        answer=len(words) <= MOST_BACKCHANNEL_WORDS and all(word in _answers(language) for word in words),
        length=min(len(words), DOZEN) / DOZEN,
    )


def _answers(language: str) -> frozenset[str]:
    return BACKCHANNELS.get(language, frozenset()) | ANSWERS.get(language, frozenset())


def is_backchannel(text: str, language: str = "en") -> bool:
    """Whether the words only show that somebody listens: `mm-hm`, `yes, okay`. Nothing said is one, too."""
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
    known = BACKCHANNELS.get(language, BACKCHANNELS["en"])
    return len(words) <= MOST_BACKCHANNEL_WORDS and all(word in known for word in words)
