"""GRID.toml: what a file comes to, and what each mistake in it is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BadInput
from harness.store.schema import NUMBER, TEXT, WHOLE, YES_NO
from harness.sweep import grid
from harness.sweep.grid import Key

RUN = {
    "model": Key("--model", TEXT),
    "frames": Key("--frames", WHOLE),
    "seed": Key("--seed", WHOLE),
    "steps": Key("--steps", WHOLE),
    "minutes": Key("--minutes", NUMBER),
    "flip": Key("--flip", YES_NO, "--no-flip"),
    "tensorboard": Key("--tensorboard", YES_NO),
}
MEASURE = {"frames": Key("--frames", WHOLE), "batch": Key("--batch", TEXT), "seed": Key("--seed", WHOLE)}


def commands(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return [" ".join(command.words) for command in grid.read(path, RUN, MEASURE)]


def test_every_value_with_every_other_and_the_first_seed_before_the_second(tmp_path: Path) -> None:
    assert commands(tmp_path, 'model = ["a", "b"]\nframes = [9, 27]\nseed = [0, 1]\nminutes = 0.5') == [
        f"run --model {model} --seed {seed} --frames {frames} --minutes 0.5"
        for seed in (0, 1)
        for model in ("a", "b")
        for frames in (9, 27)
    ]


def test_a_yes_or_no(tmp_path: Path) -> None:
    assert commands(tmp_path, 'model = "a"\nflip = [true, false]\ntensorboard = [false, true]') == [
        "run --model a --flip",
        "run --model a --flip --tensorboard",
        "run --model a --no-flip",
        "run --model a --no-flip --tensorboard",
    ]


def test_options_of_all_and_of_one(tmp_path: Path) -> None:
    text = 'model = ["a", "b"]\n[options]\ndepth = 2\nsizes = "3,9"\n[options.b]\ndepth = [3, 4]\nbias = true'
    assert commands(tmp_path, text) == [
        "run --model a -o depth=2 -o sizes=3,9",
        "run --model b -o depth=3 -o sizes=3,9 -o bias=true",
        "run --model b -o depth=4 -o sizes=3,9 -o bias=true",
    ]


def test_measurements_take_over_what_is_of_the_lifter_and_no_seed(tmp_path: Path) -> None:
    text = 'model = "a"\nframes = [9, 27]\nseed = [1, 2]\n[options]\ndepth = 2\n[measure]\nbatch = [1, "auto"]'
    assert commands(tmp_path, text)[4:] == [
        f"measure --model a --frames {frames} --batch {batch} -o depth=2"
        for frames in (9, 27)
        for batch in ("1", "auto")
    ]
    assert commands(tmp_path, 'model = "a"\nframes = 9\n[measure]\nframes = 81')[1:] == [
        "measure --model a --frames 81"
    ]


def test_further_grids_have_what_stands_above_for_a_default(tmp_path: Path) -> None:
    text = (
        'model = "a"\nframes = 9\nminutes = 1\n[options]\ndepth = 2\n[options.a]\nbias = true\n[measure]\n'
        '[[also]]\nmodel = "b"\nsteps = 7\n[also.options]\nwidth = 3\n[[also]]\nframes = 27\n'
    )
    assert commands(tmp_path, text) == [
        "run --model a --frames 9 --minutes 1 -o depth=2 -o bias=true",
        "measure --model a --frames 9 -o depth=2 -o bias=true",
        "run --model b --frames 9 --steps 7 -o depth=2 -o width=3",  # its budget is its own, and a's options are not
        "run --model a --frames 27 --minutes 1 -o depth=2 -o bias=true",
    ]


def test_an_option_of_a_further_grid_counts_for_all_of_its_models(tmp_path: Path) -> None:
    text = 'model = "a"\n[options.a]\ndepth = 1\nbias = true\n[[also]]\n[also.options]\ndepth = [2, 3]\n'
    assert commands(tmp_path, text)[1:] == [
        "run --model a -o depth=2 -o bias=true",
        "run --model a -o depth=3 -o bias=true",
    ]
    assert commands(tmp_path, text + "[also.options.a]\ndepth = 4")[1:] == ["run --model a -o depth=4 -o bias=true"]


def test_models_may_all_be_in_further_grids(tmp_path: Path) -> None:
    text = 'frames = 9\n[options.b]\ndepth = 1\n[[also]]\nmodel = "a"\n[[also]]\nmodel = "b"\n[also.measure]'
    assert commands(tmp_path, text) == [
        "run --model a --frames 9",
        "run --model b --frames 9 -o depth=1",
        "measure --model b --frames 9 -o depth=1",
    ]


def test_a_mark_of_the_byte_order_is_none_of_the_text(tmp_path: Path) -> None:
    assert commands(tmp_path, '\ufeffmodel = "a"') == ["run --model a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "grid.toml: no model; give at least one"),
        ('model = "a"\nframes 9', "is no TOML: Expected '=' after a key in a key/value pair (at line 2, column 8)"),
        ('model = "a"\nmodel = "b"', "is no TOML: Cannot overwrite a value (at "),
        ('modle = "a"', "grid.toml: unknown key 'modle'. Did you mean: model? There are: model, frames"),
        ('model = "a"\n[measure]\nbacth = 1', "grid.toml, [measure]: unknown key 'bacth'. Did you mean: batch"),
        ('model = "a"\n[[also]]\nstep = 1', "grid.toml, [[also]] 1: unknown key 'step'. Did you mean: steps"),
        ('model = "a"\nframes = "27"', "grid.toml: frames is the text '27', not a whole number"),
        ('model = "a"\nframes = [9, 2.5]', "grid.toml: frames[1] is 2.5, not a whole number"),
        ('model = "a"\nframes = true', "grid.toml: frames is true, not a whole number"),
        ('model = "a"\nflip = 1', "grid.toml: flip is 1, not a yes or no"),
        ('model = ["a", ["b"]]', "grid.toml: model[1] is the list ['b'], not a text"),
        ('model = "a"\nminutes = 2026-11-26', "grid.toml: minutes is the date"),
        ('model = "a"\nseed = []', "grid.toml: seed is an empty list"),
        ('model = "a"\nseed = [0, 1, 0]', "grid.toml: seed has 0 twice"),
        ('model = "a"\nminutes = [1, 1.0]', "grid.toml: minutes has 1.0 twice"),
        (f'model = "a"\nseed = {2**63}', "grid.toml: seed is a whole number beyond all use"),
        ('model = "a"\nframes = 0x' + 5000 * "f", "grid.toml: frames is a whole number beyond all use"),
        ('model = "a"\noptions = 3', "grid.toml: options is 3, not a table"),
        ('model = "a"\n[options]\ndepth = []', "grid.toml, [options]: depth is an empty list"),
        ('model = "a"\n[options]\ndepth = [2, 2]', "grid.toml, [options]: depth has 2 twice"),
        ('model = "a"\n[options.a]\nsizes = [[3, 9]]', "[options.a]: sizes has the list [3, 9]; an option is"),
        ('model = "ab"\n[options.ba]\ndepth = 2', "[options.ba] is of none of the grid's models. Did you mean: ab"),
        ('[[also]]\nmodel = "a"\n[[also]]\nframes = 9', "grid.toml, [[also]] 2: no model"),
        ('[options.b]\nx = 1\n[[also]]\nmodel = "a"', "grid.toml: [options.b] is of none of the grid's models"),
        ('[measure]\n[[also]]\nmodel = "a"', "grid.toml: [measure] has no model there; write [also.measure]"),
        ('model = "a"\n[also]\nframes = 9', "grid.toml: also is no list of tables; write [[also]]"),
        ('model = "a"\n[[also]]\n[[also.also]]\nframes = 9', "[[also]] 1: an [[also]] has none of its own"),
        (
            f'model = "a"\nseed = {list(range(400))}\nframes = {list(range(400))}',
            "160,000 points are more than a sweep",
        ),
        ('model = "a"\nx = ' + 3000 * "[" + 3000 * "]", "grid.toml is no grid: "),
        ('model = "a"\nframes = ' + 5000 * "9", "grid.toml is no grid: "),
    ],
    ids=lambda text: text[:40],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        commands(tmp_path, text)
    assert str(refused.value).startswith(str(tmp_path / "grid.toml"))
    assert message in str(refused.value)
    assert len(str(refused.value)) < 700


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(BadInput, match=message):
            grid.read(path, RUN, MEASURE)
    (tmp_path / "latin.toml").write_bytes('model = "ä"'.encode("latin-1"))
    with pytest.raises(BadInput, match=r"latin.toml, byte 9: not UTF-8"):
        grid.read(tmp_path / "latin.toml", RUN, MEASURE)
