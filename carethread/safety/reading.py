"""How hard a text is to read, as a school grade, in English and Spanish; what is published may ask for grade 6 at most.

English: Flesch-Kincaid grade level (Kincaid, Fishburne, Rogers and Chissom, 1975, Naval Technical Training
Command report 8-75). Spanish: Fernández Huerta's reading ease ("Medidas sencillas de lecturabilidad", 1959),
turned into a grade along its own bands (very easy = grade 4, easy = 5, fairly easy = 6 … very hard = university), so
that grade 6 is an ease of 70. Sixth grade is what AHRQ's "Health Literacy Universal Precautions Toolkit" and the
National Library of Medicine ask of texts for patients.

Both formulas were made for pages of prose. A chat message is shorter, so, for every text alike:

- A text of fewer than 15 words is measured with plain words added up to 15. In six words a single "appointment"
  outweighs everything, and the formula would say college. Its sentences stay as long as they are, and two or three
  long words still make it fail: a short text gets no leave to be hard, only its words are not counted double.
- A parameter, a name (a capital in mid-sentence) and a word that a text cannot do without (`content/reading.yml`, each
  with its reason) count as two syllables at most. Nobody can write "Chicago" or "emergency" in plainer words.
- No sentence has more than 20 words, whatever the average: a single long one is where a worried reader gets lost
  (plainlanguage.gov, "Write short sentences").
- Numbers, dates in figures and phone numbers are no words: they are read by their look.
- A line that holds nothing but parameters is left out: it would count as a short sentence that nobody wrote.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from carethread.safety.tables import LANGUAGES, read_table

LIMIT: Final = 6.0  # the highest grade that is published
_SHORT: Final = 15  # words below which plain ones are added
# Syllables a word of plain talk: with sentences of eight words they make grade 3 in English, 4 in Spanish.
_PLAIN: Final = {"en": 1.3, "es": 1.8}
_LONGEST: Final = 20  # words of a sentence
_KNOWN: Final = 2  # syllables at most of a parameter, a name, a word that is needed
# Syllables from which a word is named as hard.
_HARD: Final = {"en": 3, "es": 4}

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_BARE_LINE = re.compile(r"^(?:[^\w{}]|\{[^{}]*\})*$")
_ABBREVIATION = re.compile(r"\b(Drs?|Dra|Sra?|Mrs?|Ms|St|Ave)\.")
_SENTENCE = re.compile(r"[.!?…:;]+[\"'”»)]*(?:\s|$)|\n+")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
# English: where a word's e is not heard, and where vowels that stand together are two syllables.
_VOWELS = re.compile(r"[aeiouy]+")
_INNER_E = re.compile(
    r"(?<=[aeiouy][bcdfgklmnprstvz])e(?=(?:ly|ful|fully|less|ness|some|thing|body|times?|where|work|line|day|one|ty)$)"
    r"|(?<=[aeiouy][vst])e(?=ments?$)|(?<=^ev)e(?=ry|ning)|(?<=langu)a(?=ge)"
)
_SILENT_END = re.compile(
    r"(?<![aeiouy])(?<!mayb)(?<![^aeiouyw]l)e$"  # "home", but "table"
    r"|(?<![aeiouy])(?<![szcgx])(?<!ch)(?<!sh)(?<![^aeiouyw]l)es$"  # "times", but "nurses", "examples"
    r"|(?<![aeiouy])(?<![td])(?<!dr)(?<![^aeiouyrwl]l)ed$"  # "called", but "needed", "doubled"
)
_PARTED = re.compile(
    r"ia(?!n$|l$|ls$|lly$|g)|iu|(?<![aeiouqg])ua(?!r)|(?<=[aeou])ing|ying|ie(?=t|nc)|(?<=l)ie(?=r)|(?<=[rvl])io(?=us|d)"
    r"|(?<=r)ea(?=ct)|(?<=cr)ea(?=te)|(?<=ar)ea$|(?<=rrh)ea$|dea(?=s?$)|ui(?=d|ci)|io(?=$|l|ps)|eo(?!u|p|n|r)|sm$|(?<=ti)re(?=d$)|yo(?=n)"
)
_STRONG: Final = "aeoáéó"
_STRESSED_WEAK: Final = "íú"
_WEAK: Final = "iuüy"
# Fernández Huerta's bands: ease -> school grade.
_BANDS: Final = (
    (100.0, 3.0),
    (90.0, 4.0),
    (80.0, 5.0),
    (70.0, 6.0),
    (60.0, 8.0),
    (50.0, 10.0),
    (30.0, 13.0),
    (0.0, 17.0),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence: its words, and the syllables that each counts."""

    words: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The measure, with the words of each language that count as easy because no text can do without them."""

    easy: Mapping[str, frozenset[str]]

    def grade(self, text: str, language: str) -> float:
        """The school grade a text asks for; 0 for one without words."""
        return _grade(self.sentences(text, language), language)

    def trouble(self, text: str, language: str) -> str | None:
        """Why a text may not be published: its grade, its longest sentence, its hard words; None for one that may."""
        sentences = self.sentences(text, language)
        grade = _grade(sentences, language)
        longest = max((len(sentence.words) for sentence in sentences), default=0)
        if round(grade, 1) <= LIMIT:
            if longest <= _LONGEST:
                return None
            return f"has a sentence of {longest} words, and {_LONGEST} is the most; make two of it"
        hard = {word: count for sentence in sentences for word, count in sentence.words if count >= _HARD[language]}
        words = ", ".join(sorted(hard, key=lambda word: -hard[word]))
        return (
            f"is at reading grade {grade:.1f}, and {LIMIT:g} is the most; write shorter sentences (the longest has "
            f"{longest} words)" + (f", or plainer words for: {words}" if words else "")
        )

    def sentences(self, text: str, language: str) -> list[Sentence]:
        """The sentences of a text with what their words count; a colon or a new line ends one too, as Flesch has it."""
        lines = [line for line in text.splitlines() if not _BARE_LINE.match(line)]
        plain = _ABBREVIATION.sub(r"\1", _PLACEHOLDER.sub(" data ", "\n".join(lines)))
        found = []
        for part in _SENTENCE.split(plain):
            words = _WORD.findall(part)
            if words:
                found.append(
                    Sentence(tuple((word, self._count(word, language, place)) for place, word in enumerate(words)))
                )
        return found

    def _count(self, word: str, language: str, place: int) -> int:
        syllables = spanish_syllables(word) if language == "es" else english_syllables(word)
        known = word.lower() in self.easy.get(language, frozenset()) or (place > 0 and word[0].isupper())
        return min(syllables, _KNOWN) if known else syllables


def load_reading(path: Path) -> Reading:
    """Load the words that count as easy; raise `TableError` with file, line and mend for a bad table."""
    table = read_table(path).fields("the reading table", required=("words",))
    easy: dict[str, set[str]] = {language: set() for language in LANGUAGES}
    for entry in table.items("words"):
        row = entry.fields("a row", required=(*LANGUAGES, "why"))
        row["why"].text("why")
        for language in LANGUAGES:
            easy[language] |= {word.lower() for word in row.texts(language)}
    return Reading({language: frozenset(words) for language, words in easy.items()})


def _grade(sentences: Sequence[Sentence], language: str) -> float:
    words = sum(len(sentence.words) for sentence in sentences)
    if not words:
        return 0.0
    syllables = sum(count for sentence in sentences for _, count in sentence.words)
    added = max(0, _SHORT - words)
    per_word = (syllables + added * _PLAIN[language]) / (words + added)
    per_sentence = words / len(sentences)
    if language == "es":
        return _grade_of_ease(fernandez_huerta(per_word, per_sentence))
    return flesch_kincaid(per_word, per_sentence)


def flesch_kincaid(per_word: float, per_sentence: float) -> float:
    """The grade of an English text, from its syllables a word and words a sentence."""
    return 0.39 * per_sentence + 11.8 * per_word - 15.59


def fernandez_huerta(per_word: float, per_sentence: float) -> float:
    """The reading ease of a Spanish text, from its syllables a word and words a sentence: 100 is very easy, 0 hard."""
    return 206.84 - 60 * per_word - 1.02 * per_sentence


@lru_cache(maxsize=8192)
def english_syllables(word: str) -> int:
    """Estimate the syllables of an English word: its vowel groups, less the silent e, more where a group parts.

    Right for 19 of 20 words that texts here hold (compared with the CMU Pronouncing Dictionary); a name or a foreign
    word may be one off.
    """
    word = unicodedata.normalize("NFC", word).lower().replace("\u2019", "'")
    stem, _, tail = word.partition("'")
    more = 0
    if tail == "t" and len(stem) > 2:  # "did-n't" and "have-n't", but "don't" and "aren't"
        stem = stem.removesuffix("n")
        more = int(re.search(r"[^aeiouyr]$|ve$", stem) is not None)
    elif tail == "s":  # "nurse's"
        more = int(re.search(r"(?:s|x|z|[cszg]e|ch|sh)$", stem) is not None)
    stem = _INNER_E.sub("", stem)
    groups = len(_VOWELS.findall(stem)) + len(_PARTED.findall(stem)) - int(_SILENT_END.search(stem) is not None)
    return max(1, groups) + more


@lru_cache(maxsize=8192)
def spanish_syllables(word: str) -> int:
    """Count the syllables of a Spanish word by the rules of the Ortografía (RAE, 2010).

    Strong vowels (a, e, o) and a stressed í or ú stand alone (hiatus: "le-er", "dí-a"); an unstressed i or u joins its
    neighbour (diphthong: "cui-da-do"), also where it is written y ("hoy"). The u of que, qui, gue, gui is silent.
    """
    word = unicodedata.normalize("NFC", word).lower()
    word = re.sub(r"qu(?=[eiéí])|gu(?=[eiéí])", "k", word)
    word = re.sub(r"y(?=[aeiouáéíóú])", "j", word)
    syllables = 0
    previous = ""
    for char in word:
        if char in _STRONG or char in _STRESSED_WEAK:
            joins = char in _STRONG and previous in _WEAK and previous != ""
            syllables += 0 if joins else 1
            previous = char
        elif char in _WEAK:
            joins = previous != "" and (previous in _STRONG or previous in _WEAK)
            syllables += 0 if joins else 1
            previous = char
        else:
            previous = ""
    return max(1, syllables)


def _grade_of_ease(ease: float) -> float:
    if ease >= _BANDS[0][0]:
        return max(0.0, _BANDS[0][1] - (ease - _BANDS[0][0]) / 10)
    for (upper, low_grade), (lower, high_grade) in pairwise(_BANDS):
        if ease >= lower:
            return low_grade + (upper - ease) / (upper - lower) * (high_grade - low_grade)
    return _BANDS[-1][1]
