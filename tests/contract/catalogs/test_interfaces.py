"""A catalog provides all of its interfaces."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from splitd.interfaces.bin import IBin
from splitd.interfaces.catalog import ICatalog
from splitd.interfaces.continued import IContinuedLedger
from splitd.interfaces.documents import IDocuments
from splitd.interfaces.heal import IHealLedger
from splitd.interfaces.keys import IKeys
from splitd.interfaces.layouts import ILayouts
from splitd.interfaces.names import ILocks, INamespace
from splitd.interfaces.parts import IDoomedParts, IPartMoves
from splitd.interfaces.statistics import ICatalogStatistics
from splitd.interfaces.uploads import IUploadLedger
from splitd.interfaces.versions import IVersions
from tests.contract.catalogs.front import Front


def test_it_provides_what_it_says(front: Front) -> None:
    verifyObject(ICatalog, front.catalog)
    verifyObject(ICatalogStatistics, front.looks)
    verifyObject(IUploadLedger, front.ledger)
    verifyObject(IContinuedLedger, front.continued)
    verifyObject(IDoomedParts, front.doomed_parts)
    verifyObject(IPartMoves, front.part_moves)
    verifyObject(INamespace, front.namespace)
    verifyObject(ILocks, front.locks)
    verifyObject(IKeys, front.keys)
    verifyObject(IHealLedger, front.heal_ledger)
    verifyObject(IVersions, front.versions)
    verifyObject(ILayouts, front.seams.layouts)
    verifyObject(IDocuments, front.documents)
    verifyObject(IBin, front.bin)
