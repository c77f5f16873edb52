import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import * as notices from "#src/store/notices.ts";
import { pause } from "#src/store/pause.ts";
import { StoreError } from "#src/store/store-error.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import {
  aCliHome,
  aSeededHome,
  between,
  holding,
  ids,
  printed,
  seed,
  withStore,
  type CliHome,
} from "#harness/machine/cli-home.ts";
import { textWidth } from "#src/cli/text-width.ts";
import { write } from "#harness/machine/git-project.ts";
import { someReadings } from "#harness/machine/readings.ts";
import { given } from "#harness/coordinator/state-calls.ts";

it("the view shows sessions with risk and last checkpoint, what died, notices and pauses", async () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => {
    sessions.update(sql, ids.alive, { readings: someReadings({ contextFill: 0.9 }, home.now) });
    notices.add(sql, home.now, "store_damaged", "the store was damaged");
    pause(sql, home.now, home.now + 1_000, home.other);
    pause(sql, home.now, null, null);
  });
  expect(await home.shim("up --once")).toMatchObject(
    printed(
      /Alive \(1\)\n {2}aaaa1111 {2}~\/project {2}work of aaaa {2}works, saved 60 s ago, risk 0.3 warning \(contextFill\), context 90 %/,
      /Can come back \(2\)/,
      "bbbb2222  ~/project  work of bbbb  died (killed), 60 s ago: shim resume bbbb2222",
      /Ended in the last day\n {2}cccc4444 .* ended \(finished\), 60 s ago/,
      "the store was damaged",
      "paused: every project\n",
      `paused: ${home.other} until `,
    ),
  );
  const json = await home.json("up");
  expect(json).toMatchObject({
    at: home.now,
    store: { isThere: true },
    sessions: [
      { id: ids.alive, state: "works", detail: null },
      { id: ids.dead },
      { id: ids.elsewhere },
      { id: ids.finished },
    ],
    clients: [],
  });
});

it("it says how to connect a client where none is, and what comes next where one is", async () => {
  const home = aCliHome();
  mkdirSync(join(home.folder, ".claude"));
  expect((await home.shim("up --once")).out).toContain("Claude Code: SHIM is not connected.");
  expect((await home.shim("init --yes")).code).toBe(0);
  const first = await home.shim("up --once");
  expect(first.out).toContain("Start a chat; it appears here.");
  expect(first.out).not.toContain("shim init");
  seed(home);
  expect((await home.shim("up --once")).out).not.toContain("Start a chat");
});

it("in a terminal it draws over itself until Ctrl-C, fits the window, and restores the cursor", async () => {
  const home = aSeededHome();
  const steps = between(
    () => void home.alive.delete(100),
    () => undefined,
  );
  const ran = await home.shimWith({ ...steps, isTty: true, size: () => ({ columns: 60, rows: 8 }) }, "up");
  expect(ran.code).toBe(0);
  const pictures = ran.out.split("\u001b[H").slice(1);
  const dead = holding("Can come back (3)", "Ctrl-C ends this view");
  expect(pictures).toEqual([holding("Alive (1)"), dead, expect.anything()]);
  for (const picture of pictures) {
    // eslint-disable-next-line no-control-regex -- ESC begins a colour
    const lines = picture.replaceAll(/\u001b\[[\d;?]*[a-zA-Z]/g, "").split("\n");
    expect(lines.length).toBeLessThanOrEqual(8);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
  }
  expect([ran.out.startsWith("\u001b[?25l"), ran.out.endsWith("\u001b[?25h")]).toEqual([true, true]);
});

const wideTitle = "解析器を直す 🚀 and then a title that goes on for very much longer than a window is wide";

it.each([80, 100, 120, 160])("in %i columns no command of the view is cut, and the title stays", async (columns) => {
  const home = aSeededHome();
  const project = join(home.folder, "customers", "a-customer-with-a-long-name", "projects", "the-project");
  home.runtime.store.write((sql) => {
    sessions.rename(sql, ids.dead, wideTitle);
    sql.run("UPDATE sessions SET project = ?", project);
  });
  const script = join(home.folder, "source", "shim-of-the-team", "bin", "shim.mjs");
  write(dirname(script), { "shim.mjs": "" });
  const launch = { ...home.io().launch, node: "/usr/bin/node", script };
  const env = { ...home.runtime.env, NO_COLOR: "1", PATH: "/nonexistent" };
  const shape = { size: () => ({ columns, rows: 60 }), isTty: true, env, launch };
  const ran = await home.shimWith({ ...shape, ...between() }, "up");
  // eslint-disable-next-line no-control-regex -- ESC begins what draws the picture
  const lines = (ran.out.split("\u001b[H").at(-1) ?? "").replaceAll(/\u001b\[[\d;?]*[a-zA-Z]/g, "").split("\n");
  const command = `/usr/bin/node ${script} resume bbbb2222`;
  expect(lines.join("\n").replaceAll("\n      ", " ")).toMatch(new RegExp(`(: |\n {4})${command}\n`));
  expect(lines.join("\n")).toContain("the-project  解析器を直す 🚀");
  // A path of one word may be longer than the window, and is not cut either.
  const several = lines.filter((line) => line.trim().includes(" "));
  for (const line of several) expect(textWidth(line), line).toBeLessThanOrEqual(columns);
});

it("outside a terminal it prints what there is once", async () => {
  const home = aSeededHome();
  const { code, out } = await home.shim("up");
  expect([code, out]).toEqual([0, (await home.shim("up --once")).out]);
});

it("when the launcher is gone the view ends with 0", async () => {
  const home = aSeededHome();
  let parent = 4_000;
  let looks = 0;
  const wait = async (): Promise<void> => {
    looks++;
    if (looks === 2) parent = 1;
    if (looks > 2) throw new Error("it did not end");
  };
  const io = { isTty: true, wait, parentPid: () => parent, interrupted: () => new AbortController().signal };
  const ran = await home.shimWith(io, "up");
  expect([ran.code, looks, ran.out.endsWith("\u001b[?25h")]).toEqual([0, 2, true]);
});

it("a store that is busy for a moment is shown, and does not end the view; a bug does", async () => {
  const home = aSeededHome();
  let error: Error | null = null;
  const read: typeof home.runtime.store.read = (body, empty) => {
    if (error) throw error;
    return home.runtime.store.read(body, empty);
  };
  const runtime = withStore(home, { read });
  const steps = [
    () => void (error = new StoreError("store_locked", "another process is writing")),
    () => void (error = null),
  ];
  const ran = await home.shimWith({ ...between(...steps), ...runtime, isTty: true }, "up");
  expect(ran).toMatchObject(printed("another process is writing"));
  const failing = between(() => void (error = new Error("oops")));
  const bug = await home.shimWith({ ...failing, ...runtime, isTty: true }, "up");
  expect([bug.code, bug.out.endsWith("\u001b[?25h")]).toEqual([1, true]);
});

it("shim up and shim sessions show which chat waits for its user, for what and since when", async () => {
  const home = aSeededHome();
  const wait = { for: "permission", since: home.now } as const;
  home.runtime.store.write((sql) => sessions.setWaiting(sql, ids.alive, wait));
  home.now += 120_000;
  expect((await home.shim("up --once")).out).toContain(
    "work of aaaa  waits for you (your permission) for 2 min, saved",
  );
  expect((await home.shim("sessions")).out).toMatch(/^aaaa1111\S* +waits for you +your permission /m);
  expect((await home.shim("sessions show --stored", ids.alive)).out).toContain('waiting: {"for":"permission",');
  home.alive.clear();
  expect((await home.shim("up --once")).out).not.toContain("waits for you");
});

/** A chat of this machine that does a task and has reserved a folder. */
function atWork(home: CliHome): void {
  const coordinator = home.coordinator();
  home.alive.add(700);
  const process = processKey({ boot: "boot-1", pid: 700, start: "s700" });
  const chat = { chat: "c0ffee11", session: "c0ffee11", process, machine: "here", client: "claude-code" };
  const { incarnation } = given(coordinator.call("chats.register", chat));
  const self = { chat: chat.chat, incarnation };
  given(coordinator.call("tasks.submit", { tasks: [{ type: "test" }, { type: "lint" }] }));
  const { claims } = given(coordinator.call("tasks.claim", { self, requestId: "r1", limit: 1, isStarted: true }));
  const { task = 0, claim = 0 } = claims[0] ?? {};
  given(coordinator.call("tasks.heartbeat", { self, task, claim, progress: { note: "half of it" } }));
  const resource = "file:p1/src/parser/**";
  given(coordinator.call("leases.acquire", { self, resource, requestId: "r2", isBound: true }));
}

it("the view shows the chats, the tasks with their chats, and the files with their holders", async () => {
  const home = aCliHome();
  expect((await home.shim("up --once")).out).not.toContain("Team");
  seed(home);
  expect((await home.shim("up --once")).out).not.toContain("Team");
  atWork(home);
  expect((await home.shim("up --once")).out).toEqual(
    holding(
      "Team (this machine)\n  c0ffee11  claude-code  here  idle\n",
      "tasks: 1 queued, 1 under way, 0 done, 2 in all",
      / test {2}running by c0ffee11: half of it\n/,
      "src/parser/**  reserved by c0ffee11 for 0 s",
      "A second machine: a coordinator that both can reach",
    ),
  );
  expect(await home.json("up")).toMatchObject({
    team: { where: "this machine", isEdge: false, chats: [{ chat: "c0ffee11" }], files: [{ holder: "c0ffee11" }] },
  });
});

it("a chat whose process is gone is not shown, nor what it had; the command line is no chat of the team", async () => {
  const home = aCliHome();
  atWork(home);
  home.alive.delete(700);
  home.now += 2_000;
  expect((await home.shim("team send all hello")).code).toBe(0);
  const { out } = await home.shim("up --once");
  expect(out).toContain("tasks: 2 queued, 0 under way");
  expect(out).not.toMatch(/c0ffee11|shim command line|reserved/);
});

it("a coordinator that does not answer is named, and the sessions are shown", async () => {
  const home = aSeededHome();
  home.join("http://127.0.0.1:9");
  expect(await home.shim("up --once")).toMatchObject(
    printed(/Team: http:\/\/127\.0\.0\.1:9, workspace team did not answer: /, "Alive (1)"),
  );
});
