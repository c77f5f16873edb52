import { expect, it } from "vitest";
import { resolve } from "#src/machine/recovery/incomplete/resolution.ts";
import type { RecoveryEvent } from "#src/machine/sessions/recoveries.ts";

function events(...given: [RecoveryEvent["action"], chat?: string, hasPrompt?: boolean][]): RecoveryEvent[] {
  return given.map(([action, chat = null, hasPrompt = true], at) => ({ session: "dead", at, action, chat, hasPrompt }));
}

it.each<[string, ReturnType<typeof events>, object]>([
  ["offered", events(["offered", "a"], ["offered", "b"]), { resolution: "open", offeredTo: ["a", "b"] }],
  ["seen by a chat without a prompt", events(["offered", "a", false]), { resolution: "open", offeredTo: [] }],
  ["offered twice to one chat", events(["offered", "a"], ["offered", "a"]), { declinedBy: ["a"] }],
  ["taken", events(["offered", "a"], ["taken", "a"]), { resolution: "continued", continuedBy: "a", declinedBy: [] }],
  ["worked on without a word", events(["offered", "a"], ["recovered", "a"]), { resolution: "continued" }],
  [
    "offered again, since its successor died before its first checkpoint",
    events(["offered", "a"], ["taken", "a"], ["offered", "b"]),
    { resolution: "open", continuedBy: null, offeredTo: ["a", "b"], declinedBy: ["b"] },
  ],
  ["dismissed without an offer", events(["dismissed"]), { resolution: "dismissed", offeredTo: [] }],
  ["dismissed, and that undone", events(["offered", "a"], ["dismissed"], ["undone"]), { resolution: "open" }],
])("a dead session that was %s has one resolution, whatever counts it", (_name, given, expected) => {
  expect(resolve(given)).toEqual([expect.objectContaining({ session: "dead", at: 0, ...expected })]);
});

it("each dead session is one of open, continued and dismissed", () => {
  const all = ["a", "b", "c"].flatMap((session, n) =>
    events(
      ["offered", "x"],
      ["offered", "y"],
      n === 0 ? ["offered", "z"] : [n === 1 ? "recovered" : "dismissed", "z"],
    ).map((one) => Object.assign(one, { session })),
  );
  expect(resolve(all).map(({ resolution }) => resolution)).toEqual(["open", "continued", "dismissed"]);
});
