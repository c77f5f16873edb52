import { expect, it } from "vitest";
import * as fc from "fast-check";
import { leaseRefusal, verdict, type SessionFacts } from "#src/machine/recovery/incomplete/verdict.ts";
import { livenessOf } from "#src/machine/recovery/incomplete/liveness.ts";
import { mapFiles, mapPath } from "#src/machine/recovery/elsewhere/mapped-files.ts";

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
])("a session is refused for its first reason, in the same words everywhere: %j", (facts, code, words) => {
  const refusal = verdict({ ...dead, ...facts });
  expect(refusal).toMatchObject({ code, message: expect.stringContaining(words) });
});

it("a dead session can be taken; a refusal for a lease names the holder and since when", () => {
  expect(verdict(dead)).toBeNull();
  const holder = { chat: "b", machine: "m", heldForMs: 300_000 };
  expect(leaseRefusal("s1", "desk", holder).message).toContain("s1 is continued by chat b on m, for 5 min.");
  expect(leaseRefusal("s1", "desk", { ...holder, chat: "s1" }).message).toContain("may still run on desk");
  expect(leaseRefusal("s1", "desk", null).message).toContain("Call again");
});

const minute = 60_000;
const unemployed = { progress: null, taskCount: 0 };
const alive = (status: "idle" | "busy" | "stuck" | "draining") =>
  ({ ...unemployed, status, reason: null, lastSeenAgeMs: 0 }) as const;
const offline = (reason: string) => ({ ...unemployed, status: "offline", reason, lastSeenAgeMs: minute }) as const;

const sure = { isOver: true, isCertain: true };
const unsure = { isOver: true, isCertain: false };

it.each<[string, Parameters<typeof livenessOf>[0], number, object]>([
  ["declared dead", offline("attested"), 0, sure],
  ["closed", offline("closed"), 0, sure],
  ["timed out", offline("timeout"), 0, sure],
  ["left", offline("left"), 9, { isOver: false }],
  ["left", offline("left"), 11, unsure],
  ["of a later version", offline("of a later version"), 9, { isOver: false }],
  ["of a later version", offline("of a later version"), 11, unsure],
  ["unknown", { status: "unknown" }, 9, { isOver: false }],
  ["unknown", { status: "unknown" }, 11, unsure],
  ["idle", alive("idle"), 60, { isOver: false }],
  ["busy", alive("busy"), 60, { isOver: false }],
  ["stuck", alive("stuck"), 60, { isOver: false }],
  ["draining", alive("draining"), 60, { isOver: false }],
  [
    "not known for want of an answer",
    { status: "unreachable", why: "no network" },
    60,
    { isOver: false, isCertain: false },
  ],
])("a chat is %s: %j after %i silent minutes", (_, seen, minutes, expected) => {
  const found = livenessOf(seen, { silenceMs: minutes * minute, hasDied: false });
  expect(found).toMatchObject(expected);
  if (seen.status === "unreachable") expect(found.detail).toContain("no network");
});

it("a death that its machine has reported counts at once where no chat is registered, and never while it lives", () => {
  const sent = { silenceMs: 0, hasDied: true };
  for (const seen of [{ status: "unknown" } as const, offline("left")])
    expect(livenessOf(seen, sent)).toMatchObject({ isOver: true, isCertain: true });
  expect(livenessOf(alive("idle"), sent).isOver).toBe(false);
});

it.each([
  ["/home/ann/app/src/a.ts", "/home/ann/app", "/srv/app/src/a.ts"],
  ["/home/ann/app/odd\\name", "/home/ann/app", "/srv/app/odd\\name"],
  ["C:\\Users\\ann\\app\\src\\a.ts", "C:\\Users\\ann\\app\\", "/srv/app/src/a.ts"],
])("a path below the root there is the same path below the root here: %s", (path, there, expected) => {
  expect(mapPath(path, { there, here: "/srv/app" })).toBe(expected);
});

it("everything else has no path here: beside the root, the root itself, above it, or where one of the two is missing", () => {
  const roots = { there: "/home/ann/app", here: "/srv/app" };
  const below = ["../secret", "src/../../x", "./a"].map((path) => `/home/ann/app/${path}`);
  const beside = ["/home/ann/app2/a.ts", "/home/ann/app", "/home/ann/app/", "/etc/passwd", "a.ts", ""];
  for (const path of [...below, ...beside]) expect(mapPath(path, roots), path).toBeNull();
  expect(mapPath("/home/ann/app/a.ts", { ...roots, there: null })).toBeNull();
  expect(mapPath("/home/ann/app/a.ts", { ...roots, here: null })).toBeNull();
  expect(mapPath("/a.ts", { there: "/", here: "/work" })).toBeNull();
});

it("for any list of another machine no path leads out of the project here, and none is lost", () => {
  const part = fc.oneof(fc.constantFrom("..", ".", "", "src", "\\..\\", "%2e%2e"), fc.string({ maxLength: 5 }));
  const path = fc.array(part, { maxLength: 6 }).map((parts) => `/home/ann/app/${parts.join("/")}`);
  fc.assert(
    fc.property(fc.array(fc.oneof(path, fc.string()), { maxLength: 8 }), (paths) => {
      const files = paths.map((one) => ({ path: one, hash: "h", action: "edited" as const }));
      const { inside, external } = mapFiles(files, { there: "/home/ann/app", here: "/srv/app" });
      expect(inside.length + external.length).toBe(paths.length);
      for (const file of inside) {
        expect(file.path.startsWith("/srv/app/")).toBe(true);
        expect(file.path.split("/")).not.toContain("..");
      }
      for (const file of external) expect(file).toMatchObject({ hash: null, now: "unknown" });
    }),
  );
});
