import { expect, it } from "vitest";
import {
  chatStates,
  stateOf,
  stateOfRegistered,
  stateText,
  waitingProgress,
  workProgress,
  type ChatFacts,
  type Presence,
  type RegisteredChat,
} from "#src/contract/chat-state.ts";

const minuteMs = 60_000;
const works: Presence = { is: "alive", activity: "busy", waitsFor: null, isDraining: false };
const idle: Presence = { ...works, activity: "idle" };
const gone: Presence = { is: "gone", cause: "killed" };
const silent: Presence = { is: "silent", silenceMs: 12 * minuteMs };
const unheard: Presence = { is: "unheard", silenceMs: 5 * minuteMs };
const offer = { chat: "aaaa1111", msAgo: 2 * minuteMs };
const continuedBy = "aaaa1111";

function aChat(facts: Partial<ChatFacts>): ChatFacts {
  return {
    end: null,
    recovery: null,
    continuedBy: null,
    offer: null,
    hasContent: true,
    isClosed: false,
    presence: works,
    ...facts,
  };
}

it.each<[string, Partial<ChatFacts>]>([
  ["works", {}],
  ["works (takes no new tasks)", { presence: { ...works, isDraining: true } }],
  ["idle", { presence: idle }],
  ["idle (takes no new tasks)", { presence: { ...idle, isDraining: true } }],
  ["idle", { presence: idle, hasContent: false }],
  ["works", { isClosed: true }],
  ["works", { recovery: "offered", offer }],
  ["stuck", { presence: { ...works, activity: "stuck" } }],
  ["waits for you (your answer)", { presence: { ...works, activity: "waiting" } }],
  ["died (killed)", { presence: gone }],
  ["died", { presence: { is: "gone", cause: null } }],
  ["died (killed)", { presence: gone, recovery: "offered" }],
  ["died (killed; offered to chat aaaa1111, 2 min ago)", { presence: gone, recovery: "offered", offer }],
  ["ended (nothing to keep)", { presence: gone, hasContent: false, isClosed: true }],
  ["ended (closed with nothing open)", { presence: gone, isClosed: true, recovery: "offered", offer }],
  // An end that is not certain is no death.
  ["idle (no sign of life for 5 min)", { presence: unheard }],
  ["idle (no sign of life for 5 min)", { presence: unheard, hasContent: false, isClosed: true }],
  ["stuck (no sign of life for 12 min)", { presence: silent }],
  ["stuck (no sign of life for 12 min; offered to chat aaaa1111, 2 min ago)", { presence: silent, offer }],
  ["ended (nothing to keep)", { presence: silent, hasContent: false }],
])("a chat is shown as %s by what is known of it: %j", (text, facts) => {
  expect(stateText(stateOf(aChat(facts)))).toBe(text);
});

it("what the client says that it waits for counts before all that SHIM infers", () => {
  for (const activity of ["idle", "busy", "waiting", "stuck"] as const)
    for (const [waitsFor, text] of [
      ["permission", "waits for you (your permission)"],
      ["dialog", "waits for you (your answer)"],
      ["prompt", "waits for you (your next prompt)"],
    ] as const)
      expect(stateText(stateOf(aChat({ presence: { is: "alive", activity, waitsFor, isDraining: true } })))).toBe(text);
});

it.each<[string, Partial<ChatFacts>]>([
  ["ended (finished)", { end: "finished", recovery: "dismissed", continuedBy }],
  ["ended (dismissed)", { recovery: "dismissed", continuedBy }],
  ["ended (continued by chat aaaa1111)", { recovery: "offered", continuedBy }],
  ["ended (continued by chat aaaa1111)", { recovery: "recovered", continuedBy }],
  ["ended (continued)", { recovery: "recovered" }],
])("an end or a decision counts, whatever becomes of the process: %s", (text, facts) => {
  for (const presence of [works, gone, silent, unheard])
    for (const hasContent of [true, false])
      expect(stateText(stateOf(aChat({ presence, hasContent, ...facts })))).toBe(text);
});

it.each<[string, Partial<RegisteredChat>]>([
  ["idle", {}],
  ["works", { status: "busy", progress: "half of it" }],
  ["stuck", { status: "stuck", progress: "a limit" }],
  ["works (takes no new tasks)", { status: "draining", taskCount: 1 }],
  ["idle (takes no new tasks)", { status: "draining" }],
  ["waits for you (your permission)", { status: "busy", progress: waitingProgress.permission }],
  ["waits for you (your answer)", { status: "draining", progress: waitingProgress.dialog }],
  ["waits for you (your next prompt)", { progress: waitingProgress.prompt }],
  ["ended (left)", { status: "offline", reason: "left" }],
  ["ended (no sign of life)", { status: "offline", reason: "timeout", progress: waitingProgress.prompt }],
  ["ended (moved)", { status: "offline", reason: "moved" }],
  ["ended (offline)", { status: "offline" }],
  ["died (process gone)", { status: "offline", reason: "attested", isRecoverable: true }],
  ["died (connection closed)", { status: "offline", reason: "closed", isRecoverable: true }],
  ["died", { status: "offline", isRecoverable: true }],
])("a chat that only the coordinator knows is shown as %s: %j", (text, chat) => {
  const idleChat = { status: "idle", reason: null, progress: null, taskCount: 0 } as const;
  expect(stateText(stateOfRegistered({ ...idleChat, ...chat }))).toBe(text);
});

it("progress that only says that a chat waits for its user is no second word for its state", () => {
  expect(Object.values(waitingProgress).map((progress) => workProgress({ progress }))).toEqual([null, null, null]);
  expect(workProgress({ progress: "half of it" })).toBe("half of it");
});

it("the states are in the order in which a user has to act", () => {
  expect(chatStates).toEqual(["waits", "died", "stuck", "works", "idle", "ended"]);
});
