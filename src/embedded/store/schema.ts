/**
 * The store's tables, as `docs/embedded.md` describes them, and the pragmas it is opened with.
 *
 * Owns the format number: a newer one is refused, never guessed at. A job never moves: its `rid` stays, only
 * `state` and `ord` change, and its queue key is a column of its row, so that it cannot leak.
 */

export const FORMAT = 2;
/** The first that had no journal; it is brought up at open. */
export const FORMAT_WITHOUT_JOURNAL = 1;

/** `jobs.state`. */
export const AVAILABLE = 0;
export const SCHEDULED = 1;
export const BURIED = 2;

/**
 * Bodies of more characters than this stand in a table of their own: a retry then does not rewrite 256 KiB.
 */
export const INLINE_CHARACTERS = 2048;

/**
 * Before anything is read: the first statement then takes the lock and keeps it, and there is no -shm file.
 */
export const LOCK = "PRAGMA locking_mode=EXCLUSIVE;";

/** better-sqlite3 is compiled with NORMAL, so FULL is set by hand; the two `fullfsync` are macOS's. */
export const PRAGMAS = `
PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA fullfsync=1; PRAGMA checkpoint_fullfsync=1;
PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=16777216;
`;

/**
 * Plain jobs, a row for all of one lane and commit: `seq` is the number of the first, `first` its place, `body` two lines a
 * job. What of it has ended, as bits, stands apart: the bodies are written once.
 */
export const JOURNAL = `
CREATE TABLE journal(seq INTEGER PRIMARY KEY, lane INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
  body TEXT NOT NULL) STRICT;
CREATE TABLE ends(seq INTEGER PRIMARY KEY, done BLOB NOT NULL) STRICT;
`;

export const SCHEMA = `
CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
CREATE TABLE lanes(lane INTEGER PRIMARY KEY, part INTEGER NOT NULL, queue TEXT NOT NULL, prio INTEGER NOT NULL,
  paused INTEGER NOT NULL, available INTEGER NOT NULL, scheduled INTEGER NOT NULL, buried INTEGER NOT NULL,
  next INTEGER NOT NULL, frontier INTEGER NOT NULL, UNIQUE(part, queue, prio)) STRICT;
CREATE TABLE jobs(rid INTEGER PRIMARY KEY, id TEXT NOT NULL, part INTEGER NOT NULL, state INTEGER NOT NULL,
  lane INTEGER NOT NULL, ord INTEGER NOT NULL, attempt INTEGER NOT NULL, crashes INTEGER NOT NULL, qkey TEXT,
  reason TEXT, body ANY) STRICT;
CREATE UNIQUE INDEX ids   ON jobs(id, part);
CREATE INDEX avail        ON jobs(lane, ord) WHERE state=0;
CREATE INDEX later        ON jobs(ord, lane) WHERE state=1;
CREATE INDEX buried       ON jobs(lane, ord) WHERE state=2;
CREATE UNIQUE INDEX qkeys ON jobs(qkey, part) WHERE qkey IS NOT NULL;
CREATE TABLE bodies(rid INTEGER PRIMARY KEY, body ANY) STRICT;
CREATE TABLE run(rid INTEGER PRIMARY KEY, started INTEGER NOT NULL, alone INTEGER NOT NULL) STRICT;
CREATE TABLE marks(part INTEGER NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY(part, id)) STRICT, WITHOUT ROWID;
${JOURNAL}`;
