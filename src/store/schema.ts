import type { Migration } from "../shared/migrate.ts";
import { machineTables } from "./machine-tables.ts";
import { recordingIndexes, recordingTables } from "./recording-tables.ts";
import { sessionIndexes, sessionTables } from "./session-tables.ts";
import { syncTables, syncTriggers } from "./sync-tables.ts";
import { teamIndexes, teamTables } from "./team-tables.ts";
import { usageIndexes, usageTables } from "./usage-tables.ts";

const tables = [...machineTables, ...sessionTables, ...teamTables, ...syncTables, ...usageTables, ...recordingTables];

/**
 * Stored. Append only: each step only adds, since an older copy may be migrated. From the first
 * release on, step 1 gets its texts as they were then, and a new column is declared and added by a
 * step.
 */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: "all tables",
    statements: [
      ...tables.map(({ ddl }) => ddl),
      ...sessionIndexes,
      ...teamIndexes,
      ...syncTriggers,
      ...usageIndexes,
      ...recordingIndexes,
    ],
  },
];
