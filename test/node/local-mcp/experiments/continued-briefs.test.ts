import { expect, it } from "vitest";
import { weeklyFacts } from "#src/local-mcp/experiments/weekly-facts.ts";
import { weekOf } from "#src/experiments/weekly-report.ts";
import * as recoveries from "#src/local-mcp/sessions/recoveries.ts";
import { aDeadClaude, anotherClaude } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("[EX261] what a chat read again counts only where it continued: an offer alone counts nothing", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  const [idle, heir] = ["idle", "heir"].map((name, n) => {
    const chat = anotherClaude(runtime, dead, { session: `${name}-session`, pid: 4_000 + n });
    chat.start();
    chat.prompt("what is this file?");
    return chat.session;
  });
  const read = <T>(work: Parameters<typeof runtime.store.read<T | null>>[0]): T | null =>
    runtime.store.read(work, null);
  const repeated = () => read((sql) => weeklyFacts(sql, weekOf(runtime.now())).rediscovery);
  runtime.store.write((sql) => {
    sql.run("DELETE FROM recoveries");
    for (const [unit, reads] of [
      [heir, 1],
      [idle, 4],
    ] as const) {
      recoveries.add(sql, { at: runtime.now(), session: dead.session, action: "offered", by: unit ?? "", score: 80 });
      const offer = recoveries.latestOffer(sql, dead.session, unit ?? "");
      recoveries.setDetail(sql, offer?.seq ?? 0, { rediscovery: { reads, repeats: 0, isOver: true } });
    }
  });
  expect(repeated()).toEqual({ chats: 0, repeats: 0 });
  runtime.store.write((sql) => {
    recoveries.add(sql, { at: runtime.now(), session: dead.session, action: "taken", by: heir ?? "" });
  });
  expect(repeated()).toEqual({ chats: 1, repeats: 1 });
});
