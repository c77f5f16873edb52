import type { CliHome } from "#harness/machine/cli-home.ts";
import { addSession } from "#harness/machine/cli-home.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";

export const fleetIds = {
  waits: "11110000-0000-4000-8000-000000000001",
  works: "22220000-0000-4000-8000-000000000002",
  died: "33330000-0000-4000-8000-000000000003",
  ended: "44440000-0000-4000-8000-000000000004",
};

/** A fleet with one chat of each kind: waits, died, stuck or at work, ended. */
export function seedFleet(home: CliHome): void {
  const { store } = home.runtime;
  home.alive.add(1_001);
  addSession(home, {
    id: fleetIds.waits,
    pid: 1_001,
    title: "Payments: retry on timeout",
    entries: [
      { kind: "start", source: "startup" },
      { kind: "prompt", text: "retry the payment when the bank times out" },
      { kind: "tool_start", id: "t1", name: "Bash", input: "npm test" },
      { kind: "tool_end", id: "t1", name: "Bash", input: "npm test", durationMs: 4_200 },
    ],
  });
  store.write((sql) => sessions.setWaiting(sql, fleetIds.waits, { for: "permission", since: home.now - 180_000 }));
  home.alive.add(1_002);
  addSession(home, {
    id: fleetIds.works,
    pid: 1_002,
    title: "Search: index in the background",
    entries: [
      { kind: "prompt", text: "index new documents in the background" },
      { kind: "tool_start", id: "t2", name: "Edit", input: "src/index.ts" },
    ],
  });
  addSession(home, {
    id: fleetIds.died,
    pid: 1_003,
    title: "Parser: keep the last line",
    entries: [
      { kind: "start", source: "startup" },
      { kind: "prompt", text: "the parser drops the last line: fix it and add a test" },
      { kind: "tool_start", id: "t3", name: "Bash", input: "npm test" },
      { kind: "tool_error", id: "t3", name: "Bash", input: "npm test", text: "one test failed", durationMs: 1_200 },
      { kind: "assistant", text: "The tokenizer drops the last line." },
    ],
  });
  addSession(home, { id: fleetIds.ended, pid: 1_004, title: "Docs: the upgrade guide" });
  store.write((sql) => sessions.end(sql, home.now, fleetIds.ended, "prompt_input_exit"));
  store.write((sql) => {
    const fill = (value: number): sessions.SessionChange => ({
      model: "claude-opus-5-5",
      readings: { contextFill: { value, source: "measured", at: home.now } },
    });
    sessions.update(sql, fleetIds.waits, fill(0.42));
    sessions.update(sql, fleetIds.works, fill(0.91));
    const message = { kind: "message", id: 1, from: "chat-2", fromName: "Search", topic: null } as const;
    news.add(sql, home.now, fleetIds.waits, "m1", { ...message, text: "the parser is yours, I am done with it" });
    news.add(sql, home.now, fleetIds.works, "t1", { kind: "task_available", task: 12, title: "build" });
    news.markDelivered(sql, home.now, news.undelivered(sql, fleetIds.works, 1));
  });
  home.now += 240_000;
}
