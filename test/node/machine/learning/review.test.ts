import { join } from "node:path";
import { expect, it } from "vitest";
import { weekOf } from "#src/learning/experiments/weekly-report.ts";
import { claimReview } from "#src/machine/learning/review-schedule.ts";
import { recordDeath } from "#src/machine/recovery/incomplete/deaths.ts";
import { dismiss } from "#src/machine/recovery/marks.ts";
import { weeklyFacts } from "#src/machine/learning/weekly-facts.ts";
import { aDeadClaude, anotherClaude, aProject, Claude } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("one process a day gets the review, and none on the first day", () => {
  const runtime = tempRuntime();
  const claim = (): boolean => runtime.store.write((sql) => claimReview(sql, runtime.now()));
  expect([claim(), claim()]).toEqual([false, false]);
  runtime.wait(86_400_001);
  const other = tempRuntime({ beside: runtime });
  expect([claim(), other.store.write((sql) => claimReview(sql, other.now()))]).toEqual([true, false]);
  runtime.wait(86_400_001);
  expect(claim()).toBe(true);
});

it("a week's figures of recoveries add up: each dead chat once, by its resolution, and only who continued it counts as a continued chat", () => {
  const runtime = tempRuntime();
  const dead = ["one", "two", "three", "four"].map((name, n) => {
    const chat = new Claude(runtime, { cwd: aProject(), session: `${name}-session`, pid: 3_000 + n });
    chat.start();
    chat.write(join(chat.cwd, "parser.ts"), name);
    chat.stop();
    chat.prompt(`and the ${name} test`);
    chat.kill();
    return chat;
  });
  const next = dead.slice(0, 3).map((one, n) => {
    const chat = anotherClaude(runtime, one, { session: `next-${n}`, pid: 4_000 + n });
    chat.start();
    chat.turn("what is this file?");
    return chat;
  });
  const [continued] = next;
  continued?.write(join(continued.cwd, "parser.ts"), "continued");
  continued?.stop();
  for (const { session } of dead.slice(2)) dismiss(runtime, session);
  expect(runtime.store.read((sql) => weeklyFacts(sql, weekOf(runtime.now())), null)).toMatchObject({
    died: { chats: 4, deaths: 4, continued: 1, resumed: 0, dismissed: 2, open: 1, offered: 3, offeredTo: 3 },
  });
});

it("the facts of a week are those of its rows", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  runtime.wait(60_000);
  const next = anotherClaude(runtime, dead);
  next.start();
  next.prompt("continue");
  const facts = runtime.store.read((sql) => weeklyFacts(sql, weekOf(runtime.now())), null);
  expect(facts).toMatchObject({
    sessions: 2,
    causes: [{ cause: "killed", chats: 1 }],
    died: { chats: 1, deaths: 1, continued: 1, resumed: 0, dismissed: 0, open: 0, offered: 1, offeredTo: 1 },
    costs: [],
    steps: [],
  });
  expect(facts?.checkpoints.count).toBeGreaterThan(0);
  runtime.wait(14 * 86_400_000);
  const later = runtime.store.read((sql) => weeklyFacts(sql, weekOf(runtime.now())), null);
  expect(later).toMatchObject({
    sessions: 0,
    causes: [],
    died: { chats: 0, open: 0 },
    checkpoints: { count: 0 },
  });
});

it("a chat that died twice and was resumed counts once, as resumed, in every figure of its week", () => {
  const runtime = tempRuntime();
  const dead = aDeadClaude(runtime);
  runtime.store.write((sql) => recordDeath(sql, runtime, dead.session));
  runtime.wait(60_000);
  const again = anotherClaude(runtime, dead, { session: dead.session });
  again.resume();
  again.write(join(again.cwd, "parser.ts"), "more");
  again.kill();
  runtime.store.write((sql) => recordDeath(sql, runtime, dead.session));
  const read = () => runtime.store.read((sql) => weeklyFacts(sql, weekOf(runtime.now())), null);
  const chat = { chats: 1, deaths: 2, continued: 0, dismissed: 0 };
  expect(read()).toMatchObject({ sessions: 1, causes: [{ chats: 1 }], died: { ...chat, resumed: 0, open: 1 } });
  runtime.wait(60_000);
  anotherClaude(runtime, dead, { session: dead.session, pid: 4_000 }).resume();
  expect(read()).toMatchObject({ sessions: 1, causes: [{ chats: 1 }], died: { ...chat, resumed: 1, open: 0 } });
});
