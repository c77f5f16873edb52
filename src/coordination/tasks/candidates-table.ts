import { integer, real, table, text } from "../../shared/table.ts";

const takesTasks = (row: string): string =>
  `(${row}.taskTypes IS NOT NULL AND ${row}.capacity > 0 AND ${row}.status NOT IN ('offline', 'draining', 'stuck'))`;

const takesEveryType = `${takesTasks("chats")} AND EXISTS (SELECT 1 FROM json_each(taskTypes) WHERE value = '*')`;

/** Where this addition is rounded up, and JavaScript's is not, the bound is only lower. */
const failureTenths = "10 - CAST(successRate * 10 + 0.5 AS INTEGER)";

/**
 * A chat that takes all types has an entry of its own for each type with a performance, and for
 * each type with an entry without a chat, which dispatch stores for a type that many chats have.
 */
const insert = (condition: string): string => `INSERT INTO candidates (chat, type, failureTenths, durationMs)
  SELECT chat, type, ifnull(${failureTenths}, 0), ifnull(durationMs, 0)
  FROM (SELECT chat, value AS type FROM chats, json_each(taskTypes) WHERE ${takesTasks("chats")} AND ${condition}
        UNION SELECT chat, type FROM chats JOIN chat_performance USING (chat) WHERE ${takesEveryType} AND ${condition}
        UNION SELECT chats.chat, type FROM chats JOIN candidates ON candidates.chat = '' WHERE ${takesEveryType} AND ${condition})
    LEFT JOIN chat_performance USING (chat, type)`;

const insertNew = insert("chats.chat = new.chat");

const storePerformance = `INSERT INTO candidates (chat, type, failureTenths, durationMs)
  SELECT chat, type, ${failureTenths}, ifnull(durationMs, 0) FROM chat_performance
  WHERE chat = new.chat AND type = new.type
    AND EXISTS (SELECT 1 FROM candidates WHERE candidates.chat = new.chat AND candidates.type IN (new.type, '*'))
  ON CONFLICT (chat, type) DO UPDATE SET failureTenths = excluded.failureTenths, durationMs = excluded.durationMs`;

/**
 * Chats by the types that they take, in the order of [PL12]. An entry never ranks behind what the
 * rows of its chat say. Only dispatch raises `load` and `assignedAt`; triggers reset them.
 */
export const candidates = table("candidates", {
  chat: text().primary(),
  type: text().primary(),
  load: real().default(0),
  failureTenths: integer(),
  durationMs: real(),
  assignedAt: integer().default(0),
});

export const candidateTriggers: readonly string[] = [
  "CREATE INDEX candidates_rank ON candidates (type, load, failureTenths, durationMs, assignedAt, chat)",
  `CREATE TRIGGER candidates_registered AFTER INSERT ON chats WHEN ${takesTasks("new")} BEGIN ${insertNew}; END`,
  `CREATE TRIGGER candidates_changed AFTER UPDATE OF status, taskTypes, capacity ON chats
   WHEN ${takesTasks("old")} <> ${takesTasks("new")} OR new.taskTypes IS NOT old.taskTypes OR new.capacity <> old.capacity BEGIN
     DELETE FROM candidates WHERE chat = new.chat;
     ${insertNew};
   END`,
  // The clock was set back.
  `CREATE TRIGGER candidates_assigned AFTER UPDATE OF lastAssignedAt ON chats WHEN new.lastAssignedAt < old.lastAssignedAt BEGIN
     UPDATE candidates SET assignedAt = 0 WHERE chat = new.chat AND assignedAt > 0;
   END`,
  `CREATE TRIGGER candidates_relieved AFTER UPDATE OF chat ON tasks WHEN old.chat IS NOT NULL AND new.chat IS NOT old.chat BEGIN
     UPDATE candidates SET load = 0 WHERE chat = old.chat AND load > 0;
   END`,
  `CREATE TRIGGER candidates_measured AFTER INSERT ON chat_performance BEGIN ${storePerformance}; END`,
  `CREATE TRIGGER candidates_measured_again AFTER UPDATE ON chat_performance BEGIN ${storePerformance}; END`,
];
