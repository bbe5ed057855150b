"""LaTeX that another program can read, and that prints what was given."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pylatexenc.latex2text import LatexNodes2Text
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexMacroNode, LatexNode, LatexWalker

from harness.comparison.group import group
from harness.reporting import latex, table
from harness.reporting.grid import Grid, Heading
from tests.harness.reporting import records

HOSTILE = "a_b & c%$#{}~^\\<script>"
GRID = Grid(
    "",
    (Heading("model", number=False), Heading("P1", "mm"), Heading("to best", "mm")),
    ((f"[x] {HOSTILE}", "61.4 ± 0.4", "best"), ("*b", "62.0", "+0.6 ***"), ("floor", "115.3", "")),
    (f"{HOSTILE}, seed 1: failed:\nno memory --again",),
    strong=frozenset({(0, 1)}),
    second=frozenset({(1, 1)}),
)


def parsed(source: str) -> list[LatexNode]:
    """Fails for unbalanced braces and environments."""
    nodes, _, _ = LatexWalker(source, tolerant_parsing=False).get_latex_nodes()
    return list(nodes)


def environments(nodes: list[LatexNode]) -> list[LatexEnvironmentNode]:
    found = []
    for node in nodes:
        if isinstance(node, LatexEnvironmentNode):
            found += [node, *environments(node.nodelist)]
    return found


def rows(tabular: str) -> list[list[str]]:
    """Cells of every row between the rules of a tabular."""
    body = tabular.partition(r"\toprule")[2].partition(r"\bottomrule")[0].replace(r"\midrule", "")
    lines = [line.strip() for line in re.split(r"(?<!\\)\\\\(?=\s)", body)]
    return [re.split(r"(?<!\\)&", line) for line in lines if line]


def require_sound(source: str) -> None:
    """It parses, only table and tabular stand in it, and every row has as many cells as the tabular has columns."""
    found = environments(parsed(source))
    assert {node.environmentname for node in found} == {"table*", "tabular"}
    for tabular in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", source, flags=re.DOTALL):
        specification = re.search(r"\{tabular\}\{@\{\}(.*?)@\{\}\}", tabular)
        assert specification is not None
        columns = len(re.findall(r"[lr]|p\{[^}]*\}", re.sub(r"p\{.*?\}", "l", specification[1])))
        assert {len(row) for row in rows(tabular)} == {columns}


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE, "[x]*", "--again", "a---b", "?`x !`y", "'quoted' \"twice\"", "é ß ł", "61.4 ± 0.4, −3 × 2² – 5 ≥ 4 …",
        "\\input{/etc/passwd}", "\\end{tabular}", "% comment", "^^41", "$x$", "100 °C · µ",
    ],
)  # fmt: skip
def test_text_prints_as_it_reads(text: str) -> None:
    source = latex.escaped(text)
    assert not [node for node in parsed(source) if isinstance(node, LatexEnvironmentNode)]
    # The reader does not know these two.
    known = source.replace(r"\textless{}", "<").replace(r"\textgreater{}", ">")
    read = LatexNodes2Text(math_mode="text", strict_latex_spaces=True).latex_to_text(known)
    alike = {"²": "^2", "'": "’", '"': "”", "`": "‘", "°": "^∘", "µ": "μ", "·": "⋅", "−": "-", "ˆ": "^", "˜": "~"}
    for character, instead in alike.items():
        text, read = text.replace(character, instead), read.replace(character, instead)
    assert read.replace("\u00a0", " ") == text


def test_no_pair_of_characters_becomes_another() -> None:
    assert latex.escaped("?` !`") == r"?{}\textquoteleft{} !{}\textquoteleft{}"
    assert latex.escaped("--again ---") == "-{}-again -{}-{}-"


def test_a_character_without_a_glyph_is_printed_by_its_number() -> None:
    assert latex.escaped("a☃b\x1bc") == "a{[}U+2603{]}b{[}U+001B{]}c"


def test_letters_that_the_first_font_encoding_cannot_compose_are_printed_by_their_number() -> None:
    assert latex.escaped("Đorđe ę ŋ") == "{[}U+0110{]}or{[}U+0111{]}e {[}U+0119{]} {[}U+014B{]}"
    assert latex.escaped("éßłŞůåØœıĳ") == "éßłŞůåØœıĳ"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
def test_pdflatex_prints_every_latin_letter(tmp_path: Path) -> None:
    """With nothing in the preamble but what the head asks for."""
    lines = [latex.escaped(f"x{chr(code)}x") + r"\par" for code in range(0xA0, 0x180)]
    document = [r"\documentclass{article}\usepackage{booktabs}\begin{document}", *lines, r"\end{document}"]
    (tmp_path / "letters.tex").write_text("\n".join(document), encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "letters.tex"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    log = ended.stdout.decode(errors="replace")
    assert ended.returncode == 0, log[-2000:]
    assert "Missing character" not in log


def test_white_space_is_one_space() -> None:
    assert latex.escaped(" a\n\n b\tc ") == "a b c"


def test_a_signature_may_break_after_its_fields() -> None:
    assert latex.code("MPJPE|d:h36m|s:S9,S11_a") == (
        r"\texttt{MPJPE|\allowbreak{}d:h36m|\allowbreak{}s:S9,\allowbreak{}S11\_a}"
    )


def test_a_grid() -> None:
    source = latex.table(GRID, label="tab:x", short="A short_one", caption=r"A \texttt{caption}", rule_above=2)
    require_sound(source)
    lines = [line.strip() for line in source.splitlines()]
    assert r"\caption[{A short\_one}]{A \texttt{caption}}" in lines
    assert r"\label{tab:x}" in lines
    assert r"model & P1 & to best \\" in lines
    assert r"& (mm) & (mm) \\" in lines
    escaped = r"a\_b \& c\%\$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}\textless{}script\textgreater{}"
    assert rf"{{[}}x{{]}} {escaped} & \textbf{{61.4 $\pm$ 0.4}} & best \\" in lines
    assert r"{*}b & \underline{62.0} & +0.6$^{***}$ \\" in lines
    assert lines[lines.index(r"floor & 115.3 &  \\") - 1] == r"\midrule"
    assert lines.count(r"\midrule") == 2
    assert any(f"{escaped}, seed 1: failed: no memory -{{}}-again" in line for line in lines)


def test_a_long_name_breaks_into_lines() -> None:
    grid = Grid("", (Heading("model", number=False), Heading("P1")), (("name " * 12, "1"),))
    source = latex.table(grid, label="tab:x", short="x", caption="x")
    require_sound(source)
    assert r"p{0.26\textwidth}r" in source
    assert r"\raggedright name" in source


def test_the_table_of_a_hostile_store() -> None:
    runs = records.two_protocols()
    for seed, name in enumerate((HOSTILE, "[x]* --quick", "\\\\", "é ☃")):
        run = records.record("posemamba-xs", 10 + seed)
        run["id"], run["config"]["model"] = f"hostile{seed}", name
        runs.append(run)
    gap = records.failed("dstformer-lite", 5, "failed", f"{HOSTILE}\n\\end{{table*}}")
    runs.append(gap)
    source = table.latex(group(runs))
    require_sound(source)
    assert len(environments(parsed(source))) == 4


def test_no_command_that_needs_another_package() -> None:
    known = {
        "caption", "label", "centering", "footnotesize", "setlength", "tabcolsep", "belowcaptionskip", "toprule",
        "midrule", "bottomrule", "textbf", "underline", "texttt", "allowbreak", "par", "smallskip", "parbox",
        "linewidth", "raggedright", "textwidth", "pm", "_", "&", "%", "$", "#", "{", "}", "\\", "textless",
        "textgreater", "textbar", "textasciitilde", "textasciicircum", "textbackslash",
    }  # fmt: skip
    source = table.latex(group(records.two_protocols()))
    used: set[str] = set()

    def visit(nodes: list[LatexNode]) -> None:
        for node in nodes:
            if isinstance(node, LatexMacroNode):
                used.add(node.macroname)
                visit([argument for argument in (node.nodeargd.argnlist if node.nodeargd else []) if argument])
            visit(list(getattr(node, "nodelist", None) or []))

    visit(parsed(source))
    assert used
    assert used <= known


def test_the_head_says_what_the_preamble_needs() -> None:
    lines = table.latex(group(records.typical())).splitlines()
    assert r"\usepackage{booktabs}" in lines[0]
    assert all(line.startswith("%") for line in lines[: lines.index(r"\begin{table*}")] if line)
