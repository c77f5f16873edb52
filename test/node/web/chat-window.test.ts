import { expect, it } from "vitest";
import type { ConversationRow } from "#src/contract/machine/conversation.ts";
import { nextFrom, opened, withLater } from "#src/web/chat/chat-window.ts";

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
  expect(from(prompt("p1", null), answer("a1"))).toBe("a1");
});

it("a part that ends before the newest known row takes none away, so that reading on comes to an end", () => {
  const known = opened(page([call("c1", "running"), answer("a1"), answer("a2")]), 0);
  const idsOf = ({ rows }: typeof known): string[] => rows.map(({ row }) => row.id);
  const middle = withLater(known, page([call("c1", "done"), answer("a1")], true), 1);
  expect([idsOf(middle), middle.hasLater]).toEqual([["c1", "a1", "a2"], false]);
  const more = withLater(known, page([answer("a2"), answer("a3")], true), 1);
  expect([idsOf(more), more.hasLater]).toEqual([["c1", "a1", "a2", "a3"], true]);
});
