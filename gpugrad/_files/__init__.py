"""Fields larger than memory, in files.

A job reads a block with the rows beside it, computes, and writes, within a limit of memory; a
journal lets it go on where it was broken off.
"""

from gpugrad._files.errors import FileError, import_library
from gpugrad._files.geography import find_geography
from gpugrad._files.job import Progress
from gpugrad._files.readers import open_sources
from gpugrad._files.request import FileRequest
from gpugrad._files.run import Summary, differentiate
from gpugrad._files.seams import find_global_seam
from gpugrad._files.source import Source, Values
from gpugrad._files.wording import say
