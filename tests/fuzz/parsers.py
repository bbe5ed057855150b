"""Every reader of files from outside, and files to try it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from harness.errors import HarnessError
from harness.printable import printable
from tests.fuzz import arrays, checkpoints, json_files, motion_files, options, pickles
from tests.fuzz.bounds import within_bounds

#: A message is read by a person; what it quotes of a file may not fill screens.
_LONGEST_MESSAGE = 4000


@dataclass(frozen=True)
class Parser:
    """``read`` takes a file's content and a folder to put it in; it asserts that what comes out can be used.

    ``sound`` is what ``files`` are mostly made of. The reader ``may_ask`` for more memory than it needs, where it
    refuses the file when it does not get it.
    """

    read: Callable[[bytes, Path], None]
    sound: bytes
    files: SearchStrategy[bytes]
    may_ask: bool = False

    def accepts(self, content: bytes, folder: Path) -> bool:
        """Whether it is read, or else refused as the harness refuses; anything else is raised."""
        try:
            with within_bounds(self.may_ask):
                self.read(content, folder)
        except HarnessError as error:
            message = str(error)
            assert message
            printable(message).encode()
            assert len(message) < _LONGEST_MESSAGE
            return False
        return True


PARSERS = {
    "bvh": Parser(motion_files.read_bvh, motion_files.BVH, motion_files.bvh_files()),
    "asf": Parser(motion_files.read_asf, motion_files.ASF, motion_files.asf_files()),
    "amc": Parser(motion_files.read_amc, motion_files.AMC, motion_files.amc_files()),
    "npz": Parser(arrays.read_npz, arrays.ARCHIVE, arrays.archives()),
    "npz of objects": Parser(arrays.read_npz_of_objects, arrays.OBJECT_ARCHIVE, arrays.object_archives()),
    "npy": Parser(arrays.read_npy, arrays.NPY, arrays.npy_files()),
    "traces": Parser(arrays.read_traces, arrays.TRACES, arrays.traces_files()),
    "pickle": Parser(pickles.read_pickle, pickles.PICKLES[-1], pickles.pickles()),
    "record lines": Parser(json_files.read_records, json_files.RECORD, json_files.record_lines()),
    "motion.json": Parser(json_files.read_frame_rate, json_files.FRAME_RATE, json_files.frame_rates()),
    "manifest": Parser(json_files.read_manifest, json_files.MANIFEST, json_files.manifests()),
    "checkpoint.json": Parser(json_files.read_pointer, json_files.POINTER, json_files.pointers()),
    "checkpoint": Parser(checkpoints.read_checkpoint, checkpoints.NEW, checkpoints.checkpoints()),
    # torch sets room aside, untouched, for as long a text or tensor as the old format says before it looks for it.
    "old checkpoint": Parser(checkpoints.read_checkpoint, checkpoints.OLD, checkpoints.old_checkpoints(), may_ask=True),
    "model options": Parser(options.read_options, options.SOUND, options.pairs()),
}
