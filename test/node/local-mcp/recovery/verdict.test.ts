import { expect, it } from "vitest";
import { leaseRefusal, verdict, type SessionFacts } from "#src/local-mcp/recovery/verdict.ts";

const dead: SessionFacts = { session: "s1", machine: null, isEnded: false, alive: null, successor: null };
const there = { ...dead, machine: "desk" };
const undoHint = "If the user wants it here: `shim resume --undo s1`";

it.each<[Partial<SessionFacts>, string, string]>([
  [{ isThisChat: true, isEnded: true }, "this_chat", "s1 is this chat itself."],
  [{ isEnded: true, alive: "is still running." }, "finished", "s1 was finished: there is nothing to continue."],
  [{ ...there, isEnded: true, isStale: true }, "finished", "s1 was finished on desk: there is nothing to continue."],
  [{ ...there, isStale: true, alive: "No answer." }, "unreachable", "another chat continues it is not known now."],
  [{ alive: "is still running (pid 7)." }, "still_running", "s1 is still running (pid 7)."],
  [{ ...there, alive: "It is idle." }, "still_running", "s1 is not known to be dead on desk: It is idle."],
  [{ successor: { chat: "b", machine: null, isHere: true } }, "held", `continued by chat b. ${undoHint}, then again.`],
  [{ ...there, successor: { chat: "b", machine: "m" } }, "held", `by chat b on m. ${undoHint} there, then again.`],
])(
  "[MC17] [RE23] a session is refused for its first reason, in the same words everywhere: %j",
  (facts, code, words) => {
    const refusal = verdict({ ...dead, ...facts });
    expect(refusal).toMatchObject({ code, message: expect.stringContaining(words) });
  },
);

it("[RE23] a dead session can be taken; whose lease another has is told the holder since when", () => {
  expect(verdict(dead)).toBeNull();
  const holder = { chat: "b", machine: "m", heldForMs: 300_000 };
  expect(leaseRefusal("s1", "desk", holder).message).toContain("s1 is continued by chat b on m, for 5 min.");
  expect(leaseRefusal("s1", "desk", { ...holder, chat: "s1" }).message).toContain("may still run on desk");
  expect(leaseRefusal("s1", "desk", null).message).toContain("Call again");
});
