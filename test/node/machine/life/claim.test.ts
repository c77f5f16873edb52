import * as fc from "fast-check";
import { expect, it } from "vitest";
import { dismiss, give, undo } from "#src/machine/recovery/marks.ts";
import { claim, continues } from "#src/machine/sessions/life/claim.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { aDeadClaude, claimOf } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const chats = { one: 5_001, two: 5_002 } as const;
type Chat = keyof typeof chats;

function begin(runtime: TempRuntime, id: string, pid: number): void {
  const owner = runtime.processes.start(pid);
  const sighting = { id, client: "test", origin: "startup", project: "/p", owner, isAlive: true };
  runtime.store.write((sql) => sessions.recordSighting(sql, runtime.now(), sighting));
}

const aChat = fc.constantFrom<Chat>("one", "two");
const deeds = ["offered", "taken", "begins", "dies", "works", "undone", "dismissed", "returns"] as const;
const aStep = fc.record({ does: fc.constantFrom(...deeds), chat: aChat });
type Step = typeof aStep extends fc.Arbitrary<infer T> ? T : never;

/** @returns whether the step was refused */
function isRefusedBy(runtime: TempRuntime, session: string, { does, chat }: Step): boolean {
  switch (does) {
    case "offered":
    case "taken":
      return !runtime.store.write((sql) => give(sql, runtime, does, { session, to: chat, score: null })).ok;
    case "begins":
      begin(runtime, chat, chats[chat]);
      return false;
    case "dies":
      runtime.processes.kill(chats[chat]);
      return false;
    case "works":
      runtime.store.write((sql) => {
        if (claim(sql, runtime, session)?.by === chat)
          recoveries.add(sql, { at: runtime.now(), session, action: "recovered", by: chat });
      });
      return false;
    case "undone":
      undo(runtime, session);
      return false;
    case "dismissed":
      dismiss(runtime, session);
      return false;
    case "returns":
      runtime.store.write((sql) => recoveries.noteReturn(sql, runtime.now(), session));
      return false;
  }
}

interface Seen {
  readonly step: Step;
  readonly before: recoveries.Claim | null;
  readonly isHeld: boolean;
  readonly isRefused: boolean;
  readonly after: recoveries.Claim | null;
}

function check({ step: { does, chat }, before, isHeld, isRefused, after }: Seen): void {
  if (does === "taken") expect(isRefused).toBe(isHeld);
  if (does === "taken" && !isRefused) expect(after?.by).toBe(chat);
  if (does === "undone" || does === "returns") expect(after).toBeNull();
  if (isRefused) expect(after).toEqual(before);
}

it("a session is never taken by two: whatever chats are offered, take, work on, undo and die, a second living chat is refused", () => {
  const runtime = tempRuntime();
  /** Any other chat may still begin, and has until then what it was given. */
  const begun = new Set<string>();
  let runs = 0;
  fc.assert(
    fc.property(fc.array(aStep, { minLength: 1, maxLength: 25 }), (steps) => {
      const session = `dead-${++runs}`;
      begin(runtime, session, 4_000);
      for (const pid of [4_000, ...Object.values(chats)]) runtime.processes.kill(pid);
      const living = new Set<string>();
      for (const step of steps.flatMap((one) => (one.does === "taken" ? [one, one] : [one]))) {
        runtime.wait(1);
        const before = claimOf(runtime, session);
        const isRefused = isRefusedBy(runtime, session, step);
        if (step.does === "begins") for (const chats of [living, begun]) chats.add(step.chat);
        if (step.does === "dies") living.delete(step.chat);
        const isOthers = continues(before) && before.by !== step.chat;
        const isHeld = isOthers && (living.has(before.by) || !begun.has(before.by));
        check({ step, before, isHeld, isRefused, after: claimOf(runtime, session) });
      }
    }),
    { numRuns: 100 },
  );
});

it("of two chats that take a session at once the second is refused by name, and the first is not disturbed", () => {
  const runtime = tempRuntime();
  const { session } = aDeadClaude(runtime);
  begin(runtime, "one", chats.one);
  begin(runtime, "two", chats.two);
  const takes = (chat: Chat) =>
    runtime.store.write((sql) => give(sql, runtime, "taken", { session, to: chat, score: null }));
  expect([takes("one"), takes("one")]).toEqual([
    { ok: true, value: true },
    { ok: true, value: false },
  ]);
  expect(takes("two")).toMatchObject({
    ok: false,
    error: { code: "held", message: expect.stringContaining("chat one") },
  });
  expect(claimOf(runtime, session)).toMatchObject({ is: "taken", by: "one" });
});

it("a chat that was offered a session is told once that another one takes it", () => {
  const runtime = tempRuntime();
  const { session } = aDeadClaude(runtime);
  begin(runtime, "one", chats.one);
  const gives = (action: "offered" | "taken", to: string) =>
    runtime.store.write((sql) => give(sql, runtime, action, { session, to, score: null }));
  gives("offered", "one");
  expect(gives("offered", "two")).toMatchObject({ ok: false });
  for (let n = 0; n < 2; n++) gives("taken", "two");
  const heard = runtime.store.read((sql) => news.undelivered(sql, "one", 10), []);
  expect(heard.map((row) => row.news)).toMatchObject([{ kind: "notice", text: expect.stringContaining("chat two") }]);
});
