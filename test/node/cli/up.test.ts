import { stripVTControlCharacters } from "node:util";
import { expect, it } from "vitest";
import { addSession, aCliHome, aSeededHome, type Ran } from "#harness/machine/cli-home.ts";
import { between, holding, printed, seed, withStore } from "#harness/machine/cli-home.ts";
import { groupsOf } from "#src/cli/fleet-view.ts";
import { textWidth } from "#src/cli/screen-text.ts";
import type { SessionView } from "#src/contract/machine/sessions.ts";
import { StoreError } from "#src/store/store-error.ts";

/** The cursor is shown, and the screen is the one from before. */
const left = "\u001b[?25h\u001b[?1049l";

it("in a terminal it draws over itself until Ctrl-C, fits the window, and restores the cursor", async () => {
  const home = aSeededHome();
  const steps = [() => void home.alive.delete(100), () => undefined];
  const small = { isTty: true, size: () => ({ columns: 60, rows: 8 }) };
  const ran = await home.shimWith({ ...between(...steps), ...small }, "up");
  expect(ran.code).toBe(0);
  const [live, dead] = [holding("Needs you (2)"), holding("Needs you (3)", "Ctrl-C ends this view")];
  expect(picturesOf(ran)).toEqual([live, dead, expect.anything()]);
  for (const lines of picturesOf(ran).map((picture) => picture.split("\n")))
    expect([lines.length <= 8, lines.every((line) => line.length <= 60)]).toEqual([true, true]);
  expect([ran.out.startsWith("\u001b[?1049h\u001b[?25l"), ran.out.endsWith(left)]).toEqual([true, true]);
});

it("when the launcher is gone the view ends with 0", async () => {
  const home = aSeededHome();
  let parent = 4_000;
  let waits = 0;
  const wait = async (): Promise<void> => {
    waits++;
    if (waits === 2) parent = 1;
    if (waits > 2) throw new Error("it did not end");
  };
  const io = { isTty: true, wait, parentPid: () => parent, interrupted: () => new AbortController().signal };
  const ran = await home.shimWith(io, "up");
  expect([ran.code, waits, ran.out.endsWith(left)]).toEqual([0, 2, true]);
});

it("a store that is busy for a moment is shown, and does not end the view; a bug does", async () => {
  const home = aSeededHome();
  let error: Error | null = null;
  const read: typeof home.runtime.store.read = (body, empty) => {
    if (error) throw error;
    return home.runtime.store.read(body, empty);
  };
  const runtime = withStore(home, { read });
  const locked = new StoreError("store_locked", "another process is writing");
  const busy = between(
    () => void (error = locked),
    () => void (error = null),
  );
  const ran = await home.shimWith({ ...busy, ...runtime, isTty: true }, "up");
  expect(ran).toMatchObject(printed("another process is writing"));
  const failing = between(() => void (error = new Error("oops")));
  const bug = await home.shimWith({ ...failing, ...runtime, isTty: true }, "up");
  expect([bug.code, bug.out.endsWith(left)]).toEqual([1, true]);
});

/** Texts of the pictures, without colours. */
function picturesOf({ out }: Ran): string[] {
  return out.split("\u001b[H").slice(1).map(stripVTControlCharacters);
}

it("a narrow window cuts titles by their width, and no command; what does not fit is counted", async () => {
  const home = aCliHome();
  seed(home);
  const title = "修复解析器的最后一行 and a long title beyond every window of this world";
  for (let at = 0; at < 20; at++, home.now++) addSession(home, { id: `dddd00${at + 10}-0000`, pid: 700 + at, title });
  const ran = await home.shimWith({ ...between(), isTty: true, size: () => ({ columns: 40, rows: 14 }) }, "up");
  const lines = (picturesOf(ran)[0] ?? "").split("\n");
  expect(lines.length).toBeLessThanOrEqual(14);
  for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(40);
  expect(lines.join("\n")).toMatch(/shim resume \w{8}/);
  const wide = await home.shimWith({ ...between(), isTty: true, size: () => ({ columns: 100, rows: 14 }) }, "up");
  expect(picturesOf(wide)[0]).toMatch(/\d+ more lines: `shim up --once` prints all/);
});

/** With what the views of these tests read. */
function aSession(id: string, more: Partial<SessionView>): SessionView {
  const none = { project: null, machine: null, waitingSince: null, lastSeenAt: 0 };
  return { id, shortId: id, isAlive: true, state: "works", ...none, ...more } as SessionView;
}

it("what needs its user is first: waits longest, died, stuck; the others are in their projects, without what ended", () => {
  const sessions = [
    aSession("ended", { state: "ended", isAlive: false }),
    aSession("idle", { state: "idle", project: "/home/me/app" }),
    aSession("works", { project: "/home/me/app" }),
    aSession("other", { project: "/srv/other", lastSeenAt: 9 }),
    aSession("stuck", { state: "stuck", project: "/home/me/app" }),
    aSession("died", { state: "died", isAlive: false }),
    aSession("waits-2", { state: "waits", waitingSince: 200 }),
    aSession("waits-1", { state: "waits", waitingSince: 100 }),
  ];
  const { needs, projects } = groupsOf({ sessions, team: { elsewhere: [] } });
  const ids = [...needs, ...projects.flatMap(({ rows }) => rows)].map(({ id }) => id);
  expect(ids).toEqual(["waits-1", "waits-2", "died", "stuck", "other", "works", "idle"]);
});
