"""What clients need of the catalog and of the upkeep, wherever these run."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from splitd.assembly.upkeep import Upkeep
from splitd.catalog.journalled import JournalledCatalog
from splitd.downloads.finding import Segmentation
from splitd.downloads.pins import IPins
from splitd.downloads.survivors import Found
from splitd.interfaces.bin import IBin
from splitd.interfaces.catalog import ICatalog
from splitd.interfaces.continued import IContinuedLedger
from splitd.interfaces.documents import IDocuments
from splitd.interfaces.keys import IKeys
from splitd.interfaces.names import ILocks, INamespace
from splitd.interfaces.quotas import IQuotas
from splitd.interfaces.statistics import ICatalogStatistics
from splitd.interfaces.upkeep import IReaper
from splitd.interfaces.uploads import IUploadLedger
from splitd.interfaces.versions import IVersions
from splitd.model.manifest import Manifest


@attrs.frozen
class Seams:
    """The interfaces of a catalog that front doors, uploads and downloads use.  Workers call them by these names."""

    catalog: ICatalog
    statistics: ICatalogStatistics
    namespace: INamespace
    keys: IKeys
    locks: ILocks
    continued: IContinuedLedger
    versions: IVersions
    documents: IDocuments
    bin: IBin
    quotas: IQuotas

    @classmethod
    def of(cls, catalog: JournalledCatalog) -> Seams:
        """Return those of a catalog in this process."""
        return cls(
            catalog,
            catalog,
            catalog.namespace,
            catalog.keys,
            catalog.locks,
            catalog.continued,
            catalog.versions,
            catalog.documents,
            catalog.bin,
            catalog.quotas,
        )


@attrs.frozen
class Tending:
    """What uploads and downloads need of the upkeep, and tell it.

    :param ledger: takes note of uploads, and repeats aborts that the catalog refuses.
    :param reaper: is woken when parts may be doomed.
    :param pins: keep what is read in place.
    :param unpinned: called with a version that nobody reads any more.
    :param segmentation: finds the segments of files.
    :param hurt: called when a file is committed and some of its parts are not stored.
    :param found: called for each part that is missing or damaged on its node.
    :param is_near: whether the catalog is in the memory of this process.
    """

    ledger: IUploadLedger
    reaper: IReaper
    pins: IPins
    unpinned: Callable[[Manifest], object]
    segmentation: Segmentation
    hurt: Callable[[], object]
    found: Found
    is_near: bool

    @classmethod
    def of(cls, upkeep: Upkeep, *, is_near: bool) -> Tending:
        """Return that of the upkeep in this process."""
        reaper = upkeep.reaper
        return cls(
            upkeep.aborts,
            reaper,
            upkeep.pins,
            reaper.unpinned,
            upkeep.segmentation,
            upkeep.healer.wake,
            upkeep.found,
            is_near,
        )
