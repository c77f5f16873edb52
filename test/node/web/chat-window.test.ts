import { expect, it, onTestFinished } from "vitest";
import type { ConversationRow } from "#src/contract/machine/conversation.ts";
import type { CallInput } from "#src/web/backend.ts";
import { type ChatWindow, nextFrom, opened, withLater } from "#src/web/chat/chat-window.ts";
import { Reading } from "#src/web/chat/reading.ts";
import { backend } from "#src/web/page-state.ts";

const said = { ageMs: 0, text: "words", pictures: 0 };
const prompt = (id: string, number: number | null, isWaiting = false): ConversationRow => ({
  ...said,
  kind: "prompt",
  id,
  from: null,
  isWaiting,
  number,
});
const answer = (id: string): ConversationRow => ({ ...said, kind: "answer", id });
const call = (id: string, outcome: "running" | "done"): ConversationRow => ({
  kind: "call",
  id,
  ageMs: 0,
  tool: "Bash",
  subject: "make",
  outcome,
  result: "",
  lines: null,
  pictures: 0,
  isAgent: false,
});
const page = (rows: ConversationRow[], hasLater = false) =>
  ({ rows, hasEarlier: false, hasLater, isReset: false, isPartial: false }) as const;
const from = (...rows: ConversationRow[]): string | null => nextFrom(opened(page(rows), 0));

it("what is new is read from the last row on, from a call that runs, or from before words that SHIM has not stored yet", () => {
  expect(from()).toBe(null);
  expect(from(prompt("p1", 1), answer("a1"))).toBe("a1");
  expect(from(prompt("p1", 1), call("c1", "running"), call("c2", "done"))).toBe("c1");
  expect(from(prompt("p1", 1), answer("a1"), prompt("p2", null, true))).toBe("a1");
  expect(from(answer("a1"), call("c1", "running"), call("c2", "done"), prompt("p2", null))).toBe("c1");
  expect(from(prompt("p1", null), answer("a1"))).toBe("p1");
  const answers = Array.from({ length: 49 }, (_, n) => answer(`a${n}`));
  expect(from(call("c1", "done"), prompt("p1", null), ...answers)).toBe("c1");
});

const idsOf = ({ rows }: ChatWindow): string[] => rows.map(({ row }) => row.id);

it("a part that ends before the newest known row takes none away, so that reading on comes to an end", () => {
  const known = opened(page([call("c1", "running"), answer("a1"), answer("a2")]), 0);
  const middle = withLater(known, page([call("c1", "done"), answer("a1")], true), 1);
  expect([idsOf(middle), middle.hasLater]).toEqual([["c1", "a1", "a2"], false]);
  const more = withLater(known, page([answer("a2"), answer("a3")], true), 1);
  expect([idsOf(more), more.hasLater]).toEqual([["c1", "a1", "a2", "a3"], true]);
});

it("what is new is read although more than one part lies between it and a call that runs", async () => {
  const rows = [prompt("p1", 1), call("c1", "running"), ...Array.from({ length: 25 }, (_, n) => answer(`a${n}`))];
  const asked: (string | undefined)[] = [];
  onTestFinished(() => void (backend.value = null));
  backend.value = {
    kind: "machine",
    canAnswer: true,
    call: async (_name, input) => {
      const { from } = input as CallInput<"conversation.read">;
      asked.push(from);
      const start = from === undefined ? 0 : rows.findIndex(({ id }) => id === from);
      const end = from === undefined ? rows.length : start + 10;
      return { ok: true, value: page(rows.slice(start, end), end < rows.length) } as never;
    },
    follow: () => undefined,
    signOut: async () => undefined,
  };
  let shown: ChatWindow | null = null;
  const reading = new Reading("s1", (window) => (shown = window));
  await reading.open(null);
  rows[1] = call("c1", "done");
  rows.push(answer("new"));
  await reading.later(true);
  expect(shown).toMatchObject({ rows: rows.map((row) => ({ row })), hasLater: false });
  expect(asked).toEqual([undefined, "c1", "a8", "a17"]);
});
