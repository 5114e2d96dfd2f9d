//! What the cache holds, counted, and how that was in the past.

use sqlx::FromRow;
use sqlx::any::AnyRow;

use super::objects::OBJECT_PRESENT;
use super::path_columns::PRESENT;
use super::states::{LOG_PRESENT, PUSH_COMMITTING, PUSH_OPEN, REALISATION_PRESENT, TASK_DONE, TASK_RUNNING};
use super::{Catalog, FindingCount, Result, TaskKind, TaskState, in_clause, now};

/// Seconds between two entries of the history.
const HOUR: i64 = 3600;
/// Seconds that the history goes back.
const HISTORY: i64 = 400 * 24 * HOUR;

/// Objects of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// How many.
    pub objects: u64,
    /// Their bytes, for kinds whose size is known.
    pub bytes: Option<u64>,
    /// How many of them wait for the end of their grace period, for kinds that have one.
    pub condemned: Option<u64>,
    /// Bytes of those.
    pub condemned_bytes: Option<u64>,
}

/// What the cache holds.
#[derive(Debug, Clone, Default)]
pub struct CacheCounts {
    /// Unix time of the count.
    pub at: i64,
    /// Paths that readers find.
    pub narinfos: Stored,
    /// Their NARs.
    pub nars: Stored,
    /// Their listings.
    pub listings: Stored,
    /// Build logs.
    pub logs: Stored,
    /// Realisations.
    pub realisations: Stored,
    /// Pins.
    pub pins: Stored,
    /// Bytes of the NARs of all paths, unpacked.
    pub nar_bytes: u64,
    /// Bytes of the NARs of all paths in the bucket, each as often as it is used.
    pub file_bytes: u64,
    /// Closures.
    pub closures: u64,
    /// Closures that are released.
    pub released_closures: u64,
    /// What the last whole garbage collection has done, as JSON; nothing before the first.
    pub gc_progress: String,
    /// Runs.
    pub runs: u64,
    /// Pushes under way.
    pub open_pushes: u64,
    /// Those of them whose lease has run out.
    pub abandoned_pushes: u64,
    /// Pins whose object may not be as the database has it.
    pub unsettled_pins: u64,
    /// Unix time at which a garbage collection last ended well, or 0.
    pub gc_done_at: i64,
    /// Unix time at which a check last ended well, or 0.
    pub fsck_done_at: i64,
    /// A garbage collection is under way.
    pub gc_running: bool,
    /// What the last check found.
    pub findings: Vec<FindingCount>,
}

impl CacheCounts {
    /// Every kind of object, with its name.
    #[must_use]
    pub const fn kinds(&self) -> [(&'static str, Stored); 6] {
        [
            ("narinfo", self.narinfos),
            ("nar", self.nars),
            ("listing", self.listings),
            ("log", self.logs),
            ("realisation", self.realisations),
            ("pin", self.pins),
        ]
    }

    /// Bytes in the bucket, as far as they are known: without narinfos, realisations and pins.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.kinds().iter().filter_map(|(_, kind)| kind.bytes).sum()
    }

    /// How many times the NARs in the bucket are used, by their bytes; 1 for none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn dedup_ratio(&self) -> f64 {
        match self.nars.bytes {
            Some(bytes) if bytes > 0 && self.file_bytes > 0 => self.file_bytes as f64 / bytes as f64,
            _ => 1.0,
        }
    }
}

/// An hour of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct PastCounts {
    /// Unix time.
    #[sqlx(rename = "hour")]
    pub at: i64,
    /// Paths that readers found.
    pub paths: i64,
    /// Bytes in the bucket.
    pub bytes: i64,
    /// Bytes of NARs, unpacked.
    pub nar_bytes: i64,
    /// Closures.
    pub closures: i64,
}

/// Connections to the database.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// What they are for.
    pub name: &'static str,
    /// How many are open.
    pub open: u32,
    /// How many of those nobody uses.
    pub idle: u32,
    /// How many there may be.
    pub most: u32,
}

/// Sums and counts are of another width in each database.
fn sum(what: &str) -> String {
    format!("CAST(COALESCE(SUM({what}), 0) AS BIGINT)")
}

impl Catalog {
    async fn numbers<T>(&self, text: String) -> Result<T>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        Ok(in_clause::query_as(self.backend, text, false)
            .fetch_one(&self.reader)
            .await?)
    }

    /// Counts what the cache holds; reads every path.
    pub async fn count_cache(&self) -> Result<CacheCounts> {
        let stored = |(objects, bytes, condemned, condemned_bytes): (i64, i64, i64, i64)| Stored {
            objects: objects.unsigned_abs(),
            bytes: Some(bytes.unsigned_abs()),
            condemned: Some(condemned.unsigned_abs()),
            condemned_bytes: Some(condemned_bytes.unsigned_abs()),
        };
        let condemned = |value: &str| sum(&format!("CASE WHEN condemned_at <> 0 THEN {value} ELSE 0 END"));
        let mut counts = CacheCounts {
            at: now(),
            ..CacheCounts::default()
        };

        let listed = "CASE WHEN listing_size > 0 THEN 1 ELSE 0 END";
        let row: (i64, i64, i64, i64, i64, i64, i64) = self
            .numbers(format!(
                "SELECT COUNT(*), {}, {}, {}, {}, {}, {} FROM paths WHERE state = {PRESENT}",
                sum("nar_size"),
                condemned("1"),
                sum(listed),
                sum("listing_size"),
                condemned(listed),
                condemned("listing_size"),
            ))
            .await?;
        counts.narinfos.objects = row.0.unsigned_abs();
        counts.nar_bytes = row.1.unsigned_abs();
        counts.narinfos.condemned = Some(row.2.unsigned_abs());
        counts.listings = stored((row.3, row.4, row.5, row.6));

        let row = self
            .numbers(format!(
                "SELECT COUNT(*), {}, {}, {} FROM objects WHERE state = {OBJECT_PRESENT}",
                sum("size"),
                condemned("1"),
                condemned("size")
            ))
            .await?;
        counts.nars = stored(row);
        let (file_bytes,): (i64,) = self
            .numbers(format!(
                "SELECT {} FROM paths p JOIN objects o ON o.id = p.object_id WHERE p.state = {PRESENT}",
                sum("o.size")
            ))
            .await?;
        counts.file_bytes = file_bytes.unsigned_abs();
        let row = self
            .numbers(format!(
                "SELECT COUNT(*), {}, {}, {} FROM logs WHERE state = {LOG_PRESENT}",
                sum("size"),
                condemned("1"),
                condemned("size")
            ))
            .await?;
        counts.logs = stored(row);

        let row: (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) = self
            .numbers(format!(
                "SELECT (SELECT COUNT(*) FROM realisations WHERE state = {REALISATION_PRESENT}), (SELECT COUNT(*) FROM pins), \
                 (SELECT COUNT(*) FROM closures), (SELECT COUNT(*) FROM runs), \
                 (SELECT COUNT(*) FROM pushes WHERE state IN ({PUSH_OPEN}, {PUSH_COMMITTING})), \
                 (SELECT COUNT(*) FROM pushes WHERE state IN ({PUSH_OPEN}, {PUSH_COMMITTING}) AND lease_until <= {now}), \
                 (SELECT COUNT(*) FROM pin_writes), \
                 (SELECT COUNT(*) FROM tasks WHERE kind = 'gc' AND state = {TASK_RUNNING} AND lease_until > {now}), \
                 (SELECT COALESCE(MAX(finished_at), 0) FROM tasks WHERE kind = 'gc' AND state = {TASK_DONE} \
                  AND request NOT LIKE '%\"dry_run\":true%' AND request NOT LIKE '%\"only\":[%'), \
                 (SELECT COALESCE(MAX(finished_at), 0) FROM tasks WHERE kind = 'fsck' AND state = {TASK_DONE})",
                now = counts.at
            ))
            .await?;
        counts.released_closures = self.released_closures().await?.unsigned_abs();
        counts.gc_progress = self.last_gc_progress().await?;
        counts.realisations.objects = row.0.unsigned_abs();
        counts.pins.objects = row.1.unsigned_abs();
        counts.closures = row.2.unsigned_abs();
        counts.runs = row.3.unsigned_abs();
        counts.open_pushes = row.4.unsigned_abs();
        counts.abandoned_pushes = row.5.unsigned_abs();
        counts.unsettled_pins = row.6.unsigned_abs();
        counts.gc_running = row.7 > 0;
        counts.gc_done_at = row.8;
        counts.fsck_done_at = row.9;
        let checks = self.tasks(TaskKind::Fsck, None, 10).await?;
        if let Some(last) = checks.iter().find(|task| task.state != TaskState::Running) {
            counts.findings = self.finding_counts(last.id).await?;
        }
        Ok(counts)
    }

    /// Writes into the history what there is; the last of an hour stays.
    pub async fn remember_counts(&self, counts: &CacheCounts, at: i64) -> Result<()> {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO cache_history (hour, paths, bytes, nar_bytes, closures) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (hour) DO UPDATE SET paths = excluded.paths, bytes = excluded.bytes, \
             nar_bytes = excluded.nar_bytes, closures = excluded.closures",
        )
        .bind(at - at.rem_euclid(HOUR))
        .bind(number(counts.narinfos.objects))
        .bind(number(counts.stored_bytes()))
        .bind(number(counts.nar_bytes))
        .bind(number(counts.closures))
        .execute(&self.writer)
        .await?;
        sqlx::query("DELETE FROM cache_history WHERE hour < $1")
            .bind(at - HISTORY)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// The history from a Unix time on: for each `step` seconds the last entry.
    pub async fn past_counts(&self, since: i64, step: i64) -> Result<Vec<PastCounts>> {
        let rows = sqlx::query_as(
            "SELECT hour, paths, bytes, nar_bytes, closures FROM cache_history WHERE hour IN \
             (SELECT MAX(hour) FROM cache_history WHERE hour >= $1 GROUP BY hour / $2) ORDER BY hour LIMIT 1000",
        )
        .bind(since)
        .bind(step.max(HOUR))
        .fetch_all(&self.reader)
        .await?;
        Ok(rows)
    }

    /// The connections to the database.
    #[must_use]
    pub fn pools(&self) -> Vec<Pool> {
        let pool = |name, pool: &sqlx::AnyPool| Pool {
            name,
            open: pool.size(),
            idle: u32::try_from(pool.num_idle()).unwrap_or(u32::MAX),
            most: pool.options().get_max_connections(),
        };
        vec![pool("read", &self.reader), pool("write", &self.write_pool)]
    }
}
