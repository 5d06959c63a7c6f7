"""From what runs in a cluster to what declares it: the way back from objects to a program. Pure."""

from modelfleet.importing.foreign import foreign_declaration
from modelfleet.importing.imported import Imported
from modelfleet.importing.program import program_of
from modelfleet.importing.recorded import recorded_declaration

__all__ = ["Imported", "foreign_declaration", "program_of", "recorded_declaration"]
