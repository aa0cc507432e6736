"""The metrics of the front: what it stores, carries and serves, its journal, and its work in the background."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from splitd.access.file import UsersFile
from splitd.frontends.admin.counted import CountedCache, CountedDescriptors, CountedSite
from splitd.frontends.admin.families import counters, gauges
from splitd.frontends.admin.readiness import Readiness
from splitd.interfaces.journal import JournalStatistics
from splitd.interfaces.statistics import CatalogStatistics
from splitd.model.traffic import Traffic
from splitd.nodes.file import RegistryFile
from splitd.upkeep.bin import BinUpkeep
from splitd.upkeep.lifecycle import Lifecycle
from splitd.upkeep.rebalance import Rebalance
from splitd.upkeep.sweep import Sweep


def measure_readiness(readiness: Readiness) -> Iterator[Metric]:
    """Yield whether files can be read and stored."""
    yield from gauges(
        {
            "splitd_ready": ("Whether files can be read and stored.", not readiness.problems),
            "splitd_reads_ready": ("Whether files can be read.", not readiness.reads),
            "splitd_writes_ready": ("Whether files can be stored.", not readiness.writes),
        }
    )


def measure_catalog(catalog: CatalogStatistics) -> Iterator[Metric]:
    """Yield what is stored, and what waits to be deleted."""
    yield from gauges(
        {
            "splitd_files": ("Files in the catalog.", catalog.files),
            "splitd_file_bytes": ("Size of all files together, without their parts' overhead.", catalog.bytes_stored),
            "splitd_continued_uploads": ("Uploads that can be continued.", catalog.continued),
            "splitd_continued_upload_bytes": ("Size of the segments of these.", catalog.continued_bytes),
            "splitd_doomed_uploads": ("Uploads and versions whose parts are to be deleted.", catalog.doomed),
        }
    )
    text = "Uploads and versions whose parts were deleted."
    yield from counters({"splitd_reaped_uploads": (text, catalog.reaped)})


def measure_traffic(traffic: Traffic) -> Iterator[Metric]:
    """Yield the uploads and the downloads."""
    yield from gauges(
        {
            "splitd_uploads_under_way": ("Uploads under way.", traffic.uploads_under_way),
            "splitd_downloads_under_way": ("Downloads under way.", traffic.downloads_under_way),
        }
    )
    yield from counters(
        {
            "splitd_uploads_committed": ("Uploads that were committed.", traffic.uploads_committed),
            "splitd_uploads_degraded": (
                "Uploads that were committed, but some of whose parts could not be stored.",
                traffic.uploads_degraded,
            ),
            "splitd_uploads_aborted": ("Uploads that were aborted.", traffic.uploads_aborted),
            "splitd_upload_bytes": ("Bytes taken from clients.", traffic.bytes_in),
            "splitd_downloads_finished": (
                "Downloads that were completed, or cancelled by their client.",
                traffic.downloads_finished,
            ),
            "splitd_downloads_failed": ("Downloads that failed.", traffic.downloads_failed),
            "splitd_downloads_degraded": (
                "Downloads that read parity in place of parts that could not be read.",
                traffic.downloads_degraded,
            ),
            "splitd_download_bytes": ("Bytes read for clients.", traffic.bytes_out),
        }
    )


def measure_serving(site: CountedSite, descriptors: CountedDescriptors, cache: CountedCache) -> Iterator[Metric]:
    """Yield the connections of clients, and the files in memory."""
    yield from gauges(
        {
            "splitd_connections": ("Connections of clients.", len(site.connections())),
            "splitd_connection_limit": ("How many connections of clients there may be.", site.admission.limit or 0),
            "splitd_open_descriptors": ("File descriptors that are open.", descriptors.used()),
            "splitd_descriptor_limit": ("How many file descriptors may be open.", descriptors.limit),
            "splitd_cache_bytes": ("Small files kept in memory.", cache.size),
        }
    )
    yield from counters(
        {
            "splitd_cache_hits": ("Small files that were found in memory.", cache.hits),
            "splitd_cache_misses": ("Small files that were not found in memory.", cache.misses),
        }
    )


def measure_files(registry: RegistryFile, users: UsersFile | None, logins_refused: int) -> Iterator[Metric]:
    """Yield whether the files that an operator edits can be used.

    :param users: the file of the users; None if there is none.
    :param logins_refused: how many logins other processes of the front have refused.
    """
    yield from gauges(
        {
            "splitd_registry_refused": (
                "Whether the registry's file cannot be used as it is.",
                registry.refused is not None,
            ),
            "splitd_users_refused": (
                "Whether the users' file cannot be used as it is.",
                users is not None and users.refused is not None,
            ),
        }
    )
    refused = 0 if users is None else users.logins.refused + logins_refused
    yield from counters({"splitd_logins_refused": ("Logins that were refused.", refused)})


def measure_journal(journal: JournalStatistics, *, failed: bool) -> Iterator[Metric]:
    """Yield the state of the journal and of its copies."""
    copies = journal.copies
    yield from gauges(
        {
            "splitd_journal_bytes": ("Size of the journal.", journal.size),
            "splitd_journal_copies": (
                "Copies of the journal on nodes that count and take records.",
                0 if copies is None else copies.present,
            ),
            "splitd_journal_copies_missing": (
                "Copies of the journal that are wanted and not there.",
                0 if copies is None else max(0, copies.wanted - copies.present),
            ),
            "splitd_journal_failed": ("Whether the journal has failed.", failed),
            "splitd_journal_compaction_failed": (
                "Whether the last compaction of the journal failed.",
                bool(journal.compaction_problem),
            ),
        }
    )
    yield from counters(
        {
            "splitd_journal_records": ("Records written to the journal.", journal.appended),
            "splitd_journal_syncs": ("Syncs of the journal.", journal.syncs),
            "splitd_journal_compactions": ("Compactions of the journal.", journal.compactions),
        }
    )


def measure_upkeep(sweep: Sweep, rebalance: Rebalance, lifecycle: Lifecycle, bin_upkeep: BinUpkeep) -> Iterator[Metric]:
    """Yield the work in the background, without the heal."""
    last, bin_progress = sweep.last, bin_upkeep.progress
    yield from gauges(
        {
            "splitd_sweep_stopped": (
                "Whether the last sweep found so many orphans on a node that it left them there.",
                last is not None and bool(last.stopped),
            ),
            "splitd_sweep_orphans": ("Orphans that the last sweep found.", 0 if last is None else last.orphans),
            "splitd_rebalancing": ("Whether parts are being moved.", rebalance.under_way),
            "splitd_bin_files": ("Files that were deleted and can be restored.", bin_progress.files),
            "splitd_bin_bytes": ("Bytes of the files that were deleted and can be restored.", bin_progress.bytes),
        }
    )
    yield from counters(
        {
            "splitd_lifecycle_expired": ("Objects that rules of buckets have deleted.", lifecycle.expired),
            "splitd_lifecycle_aborted": ("Uploads that rules of buckets have aborted.", lifecycle.aborted),
            "splitd_bin_purged": (
                "Things in the bin that were purged, because of their age or for want of room.",
                bin_progress.purged + bin_progress.purged_full,
            ),
            "splitd_moved_parts": ("Parts moved to another node.", rebalance.moved_parts),
            "splitd_moved_bytes": ("Bytes of the parts that were moved.", rebalance.moved_bytes),
        }
    )
