import type { Migration } from "../shared/migrate.ts";
import { endedChatsSteps, kernelIndexes, kernelTables } from "./kernel/kernel-tables.ts";
import { leaseIndexes, leaseTables } from "./leases/lease-rows.ts";
import { messageIndexes, messageTables } from "./messages/inboxes.ts";
import { state, stateIndex } from "./state/state.ts";
import { syncIndexes, syncTables } from "./sync/sync-rows.ts";
import { taskIndexes, taskTables } from "./tasks/task-tables.ts";
import { boxes } from "./workspace/boxes.ts";
import { tokens } from "./workspace/tokens.ts";

const firstTables = [...kernelTables, ...leaseTables, ...messageTables, ...taskTables, ...syncTables, state, tokens];
export const tables = [...firstTables, boxes];

/**
 * Append only. On the edge each written row and index entry is billed: few indexes, no rowid with
 * text keys. Newest rows of `audit`, `changes`, `messages` are never deleted: numbers never recur.
 */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: "all tables",
    statements: [
      ...firstTables.map(({ ddl }) => ddl),
      ...kernelIndexes,
      ...leaseIndexes,
      ...messageIndexes,
      ...taskIndexes,
      ...syncIndexes,
      stateIndex,
    ],
  },
  {
    id: 2,
    name: "settings without schedules",
    statements: ["UPDATE meta SET value = json_remove(value, '$.maxSchedules') WHERE key = 'settings'"],
  },
  { id: 3, name: "boxes", statements: [boxes.ddl] },
  { id: 4, name: "ended chats are counted", statements: endedChatsSteps },
];
