import type { OutputOf } from "../../contract/operations.ts";
import type { AttemptRow } from "../tasks/attempt-rows.ts";
import { loadMetrics, type LoadSample } from "../tasks/balance.ts";
import type { Tx } from "../kernel/tx.ts";

const windowMs = 3_600_000;
const maxScannedRows = 10_000;

type EndedAttempt = Pick<AttemptRow, "chat" | "ended" | "started_at" | "ended_at">;

const failures: ReadonlySet<string> = new Set(["failed", "timeout", "stalled"]);

export function load(tx: Tx): OutputOf<"tasks.load"> {
  const newest = tx.sql.all<EndedAttempt>(
    "SELECT chat, ended, started_at, ended_at FROM attempts ORDER BY task DESC, claim DESC LIMIT ?",
    maxScannedRows,
  );
  const recent = newest.filter(({ ended_at }) => ended_at > tx.now - windowMs);
  const byChat = Map.groupBy(recent, ({ chat }) => chat);
  const chats = tx.sql.all<{ chat: string; capacity: number; running: number }>(
    `SELECT chat, capacity, (SELECT count(*) FROM tasks WHERE tasks.chat = chats.chat) AS running FROM chats WHERE status <> 'offline'`,
  );
  const metrics = loadMetrics(chats.map((chat) => toLoadSample(chat, byChat.get(chat.chat) ?? [])));
  return { chats: metrics, isSample: newest.length === maxScannedRows };
}

function toLoadSample(
  chat: Pick<LoadSample, "chat" | "capacity" | "running">,
  attempts: readonly EndedAttempt[],
): LoadSample {
  const counted = attempts.filter(({ ended }) => ended === "done" || failures.has(ended));
  return {
    ...chat,
    windowMs,
    done: counted.filter(({ ended }) => ended === "done").length,
    failed: counted.filter(({ ended }) => ended !== "done").length,
    runMs: counted.reduce(
      (sum, { started_at, ended_at }) => sum + (started_at === null ? 0 : Math.max(0, ended_at - started_at)),
      0,
    ),
  };
}
