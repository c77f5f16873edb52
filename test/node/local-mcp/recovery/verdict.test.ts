import { expect, it } from "vitest";
import * as fc from "fast-check";
import { leaseRefusal, verdict, type SessionFacts } from "#src/local-mcp/recovery/verdict.ts";
import { livenessOf } from "#src/local-mcp/recovery/liveness.ts";
import { mapFiles, mapPath } from "#src/local-mcp/recovery/remote-restoration.ts";

const dead: SessionFacts = { session: "s1", machine: null, isEnded: false, alive: null, successor: null };
const there = { ...dead, machine: "desk" };
const undoHint = "If the user wants it here: `shim resume --undo s1`";

it.each<[Partial<SessionFacts>, string, string]>([
  [{ isThisChat: true, isEnded: true }, "this_chat", "s1 is this chat itself."],
  [{ isEnded: true, alive: "is still running." }, "finished", "s1 was finished: there is nothing to continue."],
  [{ ...there, isEnded: true, isStale: true }, "finished", "s1 was finished on rig: there is nothing to continue."],
  [{ ...there, isStale: true, alive: "No answer." }, "unreachable", "another chat continues it is not known now."],
  [{ alive: "is still running (pid 7)." }, "still_running", "s1 is still running (pid 7)."],
  [{ ...there, alive: "It is idle." }, "still_running", "s1 is not known to be dead on rig: It is idle."],
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

const minute = 60_000;
const offline = (reason: string) => ({ status: "offline", reason, lastSeenAgeMs: minute }) as const;

it("[RE90] [RE91] a chat that the coordinator declared dead is so; one that left, after ten silent minutes only", () => {
  for (const reason of ["attested", "closed", "timeout"])
    expect(livenessOf(offline(reason), 0)).toMatchObject({ isOver: true, isCertain: true });
  for (const seen of [offline("left"), offline("of a later version"), { status: "unknown" } as const]) {
    expect(livenessOf(seen, 9 * minute)).toMatchObject({ isOver: false, isCertain: false });
    expect(livenessOf(seen, 11 * minute)).toMatchObject({ isOver: true, isCertain: false });
  }
});

it("[RE90] [RE92] a living chat of any status is not gone; without an answer none is", () => {
  for (const status of ["idle", "busy", "stuck", "draining"] as const)
    expect(livenessOf({ status, reason: null, lastSeenAgeMs: 0 }, 60 * minute)).toMatchObject({ isOver: false });
  const unasked = livenessOf({ status: "unreachable", why: "no network" }, 60 * minute);
  expect(unasked).toMatchObject({ isOver: false, isCertain: false });
  expect(unasked.detail).toContain("no network");
});

it("[RE21] a path below the root there is the same path below the root here, whatever its machine writes between folders", () => {
  const roots = { there: "/home/ann/app", here: "/srv/app" };
  expect(mapPath("/home/ann/app/src/a.ts", roots)).toBe("/srv/app/src/a.ts");
  expect(mapPath("/home/ann/app/odd\\name", roots)).toBe("/srv/app/odd\\name");
  expect(mapPath("C:\\Users\\ann\\app\\src\\a.ts", { there: "C:\\Users\\ann\\app\\", here: "/srv/app" })).toBe(
    "/srv/app/src/a.ts",
  );
});

it("[RE21] everything else has no place here: beside the root, the root itself, above it, or where one of the two is missing", () => {
  const roots = { there: "/home/ann/app", here: "/srv/app" };
  for (const path of ["/home/ann/app2/a.ts", "/home/ann/app", "/home/ann/app/", "/etc/passwd", "a.ts", ""])
    expect(mapPath(path, roots)).toBeNull();
  for (const path of ["/home/ann/app/../secret", "/home/ann/app/src/../../x", "/home/ann/app/./a"])
    expect(mapPath(path, roots)).toBeNull();
  expect(mapPath("/home/ann/app/a.ts", { ...roots, there: null })).toBeNull();
  expect(mapPath("/home/ann/app/a.ts", { ...roots, here: null })).toBeNull();
  expect(mapPath("/a.ts", { there: "/", here: "/work" })).toBeNull();
});

it("[RE21] whatever a list of another machine holds, no path leads out of the project here, and none is lost", () => {
  const part = fc.oneof(fc.constantFrom("..", ".", "", "src", "\\..\\", "%2e%2e"), fc.string({ maxLength: 5 }));
  const path = fc.array(part, { maxLength: 6 }).map((parts) => `/home/ann/app/${parts.join("/")}`);
  fc.assert(
    fc.property(fc.array(fc.oneof(path, fc.string()), { maxLength: 8 }), (paths) => {
      const files = paths.map((one) => ({ path: one, hash: "h", action: "edited" as const }));
      const { inside, external: platform } = mapFiles(files, { there: "/home/ann/app", here: "/srv/app" });
      expect(inside.length + platform.length).toBe(paths.length);
      for (const file of inside) {
        expect(file.path.startsWith("/srv/app/")).toBe(true);
        expect(file.path.split("/")).not.toContain("..");
      }
      for (const file of platform) expect(file).toMatchObject({ hash: null, now: "unknown" });
    }),
  );
});
