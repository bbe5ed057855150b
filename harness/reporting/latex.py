"""Tables as LaTeX: booktabs rules, the best in bold, and nothing of the data that LaTeX would read as a command."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from harness.reporting.grid import Grid

HEAD = r"""% To be read in by a document: \input{table}. The preamble needs \usepackage{booktabs} and nothing else;
% with pdfLaTeX before 2018 also \usepackage[utf8]{inputenc}."""

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textquoteleft{}", "'": r"\textquoteright{}", '"': r"\textquotedblright{}",
    # At the start of a row a bracket or an asterisk would be an argument of the line break before it.
    "[": "{[}", "]": "{]}", "*": "{*}",
    # Before a quotation mark they would become Spanish ones.
    "?": "?{}", "!": "!{}",
    "−": "$-$", "–": "--", "—": "---", "±": r"$\pm$", "×": r"$\times$", "²": "$^2$", "³": "$^3$", "µ": r"$\mu$",
    "≥": r"$\geq$", "≤": r"$\leq$", "…": r"\ldots{}", "·": r"$\cdot$", "°": r"$^\circ$", "\u00a0": "~",
    "‘": r"\textquoteleft{}", "’": r"\textquoteright{}", "“": r"\textquotedblleft{}", "”": r"\textquotedblright{}",
}  # fmt: skip
#: Neighbouring hyphens would become a dash.
_HYPHENS = re.compile(r"-(?=-)")
#: Beyond these letters a document needs fonts or packages of its own; and so it does for those that are no base letter
#: with an accent of LaTeX's first font encoding (OT1), nor in it.
_LAST_PLAIN_LETTER = "\u017f"
_NOT_COMPOSED = frozenset("ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ")
_TILDE = r"\sim"
#: From so many characters on the first column is a paragraph that breaks into lines.
_LONGEST_NAME = 34


def escaped(text: str) -> str:
    """``text`` so that it prints as it reads; runs of white space are one space.

    A character that a plain document has no glyph for is printed by its number, such as [U+2603].
    """
    return re.sub(" +", " ", "".join(map(_character, _HYPHENS.sub("-\0", text)))).strip()


def code(text: str) -> str:
    """``text`` in typewriter type that may break after every | and comma."""
    shown = escaped(text).replace(r"\textbar{}", r"|\allowbreak{}").replace(",", r",\allowbreak{}")
    return rf"\texttt{{{shown}}}"


def table(grid: Grid, *, label: str, short: str, caption: str, rule_above: int | None = None) -> str:
    """``grid`` as a table over both columns, with its notes below it.

    ``caption`` is LaTeX, ``short`` (for a list of tables) and everything in ``grid`` plain text; ``rule_above`` is the
    row that a line is drawn above.
    """
    long_names = any(len(row[0]) > _LONGEST_NAME for row in grid.cells)
    first = r"p{0.26\textwidth}" if long_names else "l"
    columns = first + "".join("r" if heading.number else "l" for heading in grid.headings[1:])
    lines = [
        r"\begin{table*}",
        r"  \centering",
        r"  \setlength{\belowcaptionskip}{4pt}",
        rf"  \caption[{{{escaped(short)}}}]{{{caption}}}",
        rf"  \label{{{label}}}",
        r"  \footnotesize",
        r"  \setlength{\tabcolsep}{3pt}",
        rf"  \begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"    \toprule",
        *_headings(grid),
        r"    \midrule",
    ]
    for index, row in enumerate(grid.cells):
        lines += [r"    \midrule"] if index == rule_above else []
        cells = [_cell(grid, index, place, cell) for place, cell in enumerate(row)]
        lines.append(_line([rf"\raggedright {cells[0]}" if long_names else cells[0], *cells[1:]]))
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", *_notes(grid.notes), r"\end{table*}", ""])


def _headings(grid: Grid) -> list[str]:
    """One line of names and, where there is any, one of units."""
    names = [escaped(heading.name) for heading in grid.headings]
    units = [f"({escaped(heading.unit)})" if heading.unit else "" for heading in grid.headings]
    return [_line(names), *([_line(units)] if any(units) else [])]


def _line(cells: Sequence[str]) -> str:
    return rf"    {' & '.join(cells)} \\"


def _cell(grid: Grid, row: int, place: int, cell: str) -> str:
    figure, _, mark = cell.rpartition(" ")
    if figure and not mark.strip("*~"):
        return rf"{escaped(figure)}$^{{{mark.replace('~', _TILDE)}}}$"
    shown = escaped(cell)
    if (row, place) in grid.strong:
        return rf"\textbf{{{shown}}}"
    return rf"\underline{{{shown}}}" if (row, place) in grid.second else shown


def _notes(notes: Sequence[str]) -> list[str]:
    return [rf"  \par\smallskip\parbox{{\linewidth}}{{\raggedright {escaped(note)}}}" for note in notes]


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character == "\0":
        return "{}"
    if character.isspace():
        return " "
    if " " < character <= "~" or _is_plain_letter(character):
        return character
    return f"{{[}}U+{ord(character):04X}{{]}}"


def _is_plain_letter(character: str) -> bool:
    is_letter = character <= _LAST_PLAIN_LETTER and unicodedata.category(character)[0] == "L"
    return is_letter and character not in _NOT_COMPOSED
