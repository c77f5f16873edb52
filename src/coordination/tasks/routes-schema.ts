/**
 * Migration 13. One row for each ended attempt whose worker reported which model did it; other
 * attempts cost no row. The present attempt's route is in the row of its task.
 */
export const routeTables: readonly string[] = [
  // JSON: the route, with the claim that reported it.
  "ALTER TABLE tasks ADD COLUMN route TEXT",
  `CREATE TABLE routes (
     type TEXT NOT NULL,
     task INTEGER NOT NULL,
     claim INTEGER NOT NULL,
     tier TEXT NOT NULL,
     model TEXT NOT NULL,
     effort TEXT,
     band TEXT NOT NULL,
     reason TEXT NOT NULL,
     propensity REAL NOT NULL,
     baseline TEXT,
     is_comparable INTEGER NOT NULL,
     settings TEXT,
     is_counted INTEGER NOT NULL,
     ended TEXT NOT NULL,
     became TEXT NOT NULL,
     at INTEGER NOT NULL,
     tokens INTEGER NOT NULL,
     cost_micros INTEGER NOT NULL,
     PRIMARY KEY (type, task, claim)
   ) STRICT, WITHOUT ROWID`,
];

/** Migration 14. One row for each ended attempt whose client has named its model, routed or not. */
export const attemptModelsTable = [
  `CREATE TABLE attempt_models (
     type TEXT NOT NULL,
     task INTEGER NOT NULL,
     claim INTEGER NOT NULL,
     model TEXT NOT NULL,
     effort TEXT,
     source TEXT NOT NULL,
     ended TEXT NOT NULL,
     at INTEGER NOT NULL,
     tokens INTEGER NOT NULL,
     cost_micros INTEGER NOT NULL,
     PRIMARY KEY (type, task, claim)
   ) STRICT, WITHOUT ROWID`,
] as const;
