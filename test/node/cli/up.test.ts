import { readFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { expect, it } from "vitest";
import { addSession, aCliHome, aSeededHome, type CliHome, type Ran } from "#harness/machine/cli-home.ts";
import { between, failed, holding, printed, seed, throwing, withStore } from "#harness/machine/cli-home.ts";
import { anUndoRig } from "#harness/machine/cli-rigs.ts";
import { write } from "#harness/machine/git-project.ts";
import { emptyFleet, keysIn, press, withChats, type FleetState, type Key } from "#src/cli/fleet-keys.ts";
import { chatsOf } from "#src/cli/fleet-view.ts";
import type { Io } from "#src/cli/io.ts";
import { textWidth, windowOf } from "#src/cli/screen-text.ts";
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

/** `shim up` in a terminal in which these keys are pressed, one text after each picture. */
async function pressing(home: CliHome, texts: readonly string[], more: Partial<Io> = {}): Promise<Ran> {
  let type: ((text: string) => void) | null = null;
  const stop = new AbortController();
  const left = [...texts];
  const wait: Io["wait"] = async () => {
    const text = left.shift();
    if (text === undefined) stop.abort();
    else type?.(text);
  };
  const onKeys: Io["onKeys"] = (listener) => {
    type = listener;
    return () => void (type = () => expect.unreachable("a key after the end"));
  };
  const terminal = { isTty: true, isInteractive: true, interrupted: () => stop.signal };
  return home.shimWith({ ...terminal, wait, onKeys, ...more }, "up");
}

/** Texts of the pictures, without colours. */
function picturesOf({ out }: Ran): string[] {
  return out.split("\u001b[H").slice(1).map(stripVTControlCharacters);
}

const [up, down, enter] = ["\u001b[A", "\u001b[B", "\r"];

it("arrows, j and k select a chat, which is marked; it stays selected when the order changes; ? shows the keys until another one, and q and Ctrl-C leave", async () => {
  const home = aSeededHome();
  const ran = await pressing(home, ["j", down, "k", up, up]);
  const marked = picturesOf(ran).map((picture) => /^> (\w{4})/m.exec(picture)?.[1]);
  // Each key draws, and so does each reading.
  expect(marked).toEqual("bbbb bbbb bbbb aaaa aaaa bbbb bbbb bbbb bbbb bbbb bbbb".split(" "));
  expect([ran.code, ran.out.endsWith(left)]).toEqual([0, true]);
  for (const leave of ["q", "\u0003"]) {
    const helped = await pressing(home, ["?", "x", leave, "never"]);
    const isHelp = picturesOf(helped).map((picture) => picture.includes("q, Ctrl-C  leave"));
    expect(isHelp).toEqual([false, true, true, false, false]);
    expect([helped.code, helped.out.endsWith(left)]).toEqual([0, true]);
  }
});

it("Enter leaves the screen and resumes the chat as `shim resume` does; a chat that runs is named instead", async () => {
  const home = aSeededHome();
  const ran = await pressing(home, [enter]);
  expect([ran.code, ran.out.endsWith(left), home.started]).toMatchObject([0, true, [{ cwd: home.project }]]);
  const running = await pressing(home, ["jj", enter]);
  expect(picturesOf(running).at(-1)).toContain("Chat aaaa1111 is still running");
  expect(home.started).toHaveLength(1);
  const startProcess = throwing(Object.assign(new Error("no such program"), { code: "ENOENT" }));
  const missing = failed(1, "was not found on the PATH", /`shim resume \S+ --print` prints the brief/);
  expect(await pressing(home, [enter], { startProcess })).toMatchObject(missing);
});

it("u leaves the screen and runs `shim undo` for the chat, which asks by itself", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ "a.txt": "one\n" }, { home });
  await rig.turn("rewrite it", { tool: "Bash", work: () => write(home.project, { "a.txt": "two\n" }) });
  for (const [answer, said, content] of [
    [null, "Nothing was changed.", "two\n"],
    ["", "Nothing was changed.", "two\n"],
    ["y", "Took back 1 file", "one\n"],
  ] as const) {
    const questions: string[] = [];
    const ask = async (question: string): Promise<string | null> => (questions.push(question), answer);
    const { code, out, err } = await pressing(home, ["u"], { ask });
    expect([code, questions]).toEqual([0, [holding("Put 1 file in", "[y/N]")]]);
    expect([out.slice(out.indexOf(left)), err]).toEqual([holding(said), holding("a.txt: put back")]);
    expect(readFileSync(join(home.project, "a.txt"), "utf8")).toBe(content);
  }
});

it("another size of the window is drawn at once, and a failure of a key ends the view with the terminal as it was", async () => {
  const home = aSeededHome();
  let size = { columns: 100, rows: 30 };
  let resize: (() => void) | null = null;
  const stop = new AbortController();
  const steps = [() => ((size = { columns: 50, rows: 12 }), resize?.()), () => stop.abort()];
  const onResize: Io["onResize"] = (listener) => ((resize = listener), () => undefined);
  const io = { isTty: true, size: () => size, interrupted: () => stop.signal, wait: async () => steps.shift()?.() };
  const ran = await home.shimWith({ ...io, onResize }, "up");
  const widths = picturesOf(ran).map((picture) => Math.max(...picture.split("\n").map(textWidth)));
  expect([ran.code, widths.slice(1).every((width) => width <= 50)]).toEqual([0, true]);
  let asked = 0;
  const oneFails = () => (++asked === 2 ? expect.unreachable("no size") : { columns: 80, rows: 24 });
  const broken = await pressing(home, ["j"], { size: oneFails });
  expect([broken.code, broken.out.endsWith(left)]).toEqual([1, true]);
});

it("a narrow window cuts titles by their width, and no command; the selected chat is always in it", async () => {
  const home = aCliHome();
  seed(home);
  const title = "修复解析器的最后一行 and a long title beyond every window of this world";
  for (let at = 0; at < 20; at++, home.now++) addSession(home, { id: `dddd00${at + 10}-0000`, pid: 700 + at, title });
  const keys = Array.from({ length: 12 }, () => "j");
  const ran = await pressing(home, keys, { size: () => ({ columns: 40, rows: 14 }) });
  for (const picture of picturesOf(ran)) {
    const lines = picture.split("\n");
    expect(lines.length).toBeLessThanOrEqual(14);
    for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(40);
    const marked = lines.findIndex((line) => line.startsWith("> "));
    expect(lines.slice(marked, marked + 4).join("\n")).toMatch(/shim resume \w{8}/);
  }
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
  const team = { where: "here", isEdge: false, trouble: null, chats: [], tasks: null };
  const fleet = { sessions, team: { ...team, underWay: [], names: {}, files: [], elsewhere: [] } };
  const ids = chatsOf(fleet).map(({ id }) => id);
  expect(ids).toEqual(["waits-1", "waits-2", "died", "stuck", "other", "works", "idle"]);
});

it("a text of a terminal may hold several keys, and of unknown ones none acts", () => {
  expect(keysIn("j\u001b[A\u001bOBx\r")).toEqual(["down", "up", "down", "other", "enter"]);
  expect(keysIn("\u001b[1;5A\u001b[15~é\u001b")).toEqual(["other", "other", "other", "other"]);
});

function after(state: FleetState, ...keys: Key[]): unknown {
  return keys.reduce<FleetState | object>((now, key) => ("chats" in now ? press(now, key) : now), state);
}

it("a key changes the state or ends the screen; a chat that is gone is neither resumed nor replaced", () => {
  const [dead, works] = [aSession("dead", { state: "died", isAlive: false }), aSession("works", {})];
  const start = withChats(emptyFleet, [dead, works]);
  expect(after(start, "enter")).toEqual({ does: "resume", session: "dead" });
  expect(after(start, "down", "undo")).toEqual({ does: "undo", session: "works" });
  expect(after(start, "down", "down", "up", "up")).toMatchObject({ selected: "dead", note: null });
  expect(after(start, "help", "enter")).toMatchObject({ isHelp: false, selected: "dead" });
  expect(after(start, "help", "leave")).toEqual({ does: "leave" });
  const gone = withChats(start, [works]);
  expect(after(gone, "enter")).toMatchObject({ note: "Select a chat first: the arrow keys, or j and k." });
  expect(after(gone, "up")).toMatchObject({ selected: "works" });
  const elsewhere = withChats(emptyFleet, [{ ...dead, machine: "laptop" }]);
  expect(after(elsewhere, "undo")).toMatchObject({ note: "The files of chat dead are on laptop." });
  expect(after(emptyFleet, "down", "enter")).toMatchObject({ selected: null, note: "There is no chat to select." });
});

it("a window holds the selected lines in its middle, and counts a word that is wider than it as several rows", () => {
  const lines = ["a", "b", "c", "d", "e", "f", "x".repeat(25)];
  for (const [from, to, rows, inside] of [
    [0, 0, 3, "abc"],
    [3, 4, 3, "cde"],
    [5, 6, 3, "def"],
    [0, 7, 20, lines.join("")],
    [6, 7, 4, `f${"x".repeat(25)}`],
  ] as const)
    expect(windowOf(lines, { from, to }, { columns: 10, rows }).join("")).toBe(inside);
});
