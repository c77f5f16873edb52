import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import * as notices from "#src/store/notices.ts";
import { pause } from "#src/store/pause.ts";
import { StoreError } from "#src/store/store-error.ts";
import { aCliHome, addSession, aSeededHome, ids, seed } from "#harness/machine/cli-home.ts";
import { someReadings } from "#harness/machine/readings.ts";

const small = (): { columns: number; rows: number } => ({ columns: 60, rows: 8 });

/** A live view that looks `steps.length + 1` times: each step happens between two looks, then Ctrl-C. */
function live(steps: readonly (() => void)[]): Partial<Io> {
  const stop = new AbortController();
  let at = 0;
  return {
    interrupted: () => stop.signal,
    wait: async () => {
      const step = steps[at++];
      if (step) step();
      else stop.abort();
    },
  };
}

it("[CL20] the view shows sessions with risk and last checkpoint, what died, notices and pauses", async () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => {
    sessions.update(sql, ids.alive, { readings: someReadings({ contextFill: 0.9 }, home.now) });
    notices.add(sql, home.now, "store_damaged", "the store was damaged");
    pause(sql, home.now, home.now + 1_000, home.other);
    pause(sql, home.now, null, null);
  });
  const { out, code } = await home.shim("up --once");
  expect(code).toBe(0);
  expect(out).toMatch(
    /Alive \(1\)\n {2}aaaa1111 {2}~\/project {2}work of aaaa {2}busy, saved 60 s ago, risk 0.3 warning \(contextFill\), context 90 %/,
  );
  expect(out).toMatch(/Died unfinished \(2\)/);
  expect(out).toContain("bbbb2222  ~/project  work of bbbb  killed, 60 s ago: shim resume bbbb2222");
  expect(out).toMatch(/Finished in the last day\n {2}cccc4444/);
  expect(out).toContain("the store was damaged");
  expect(out).toMatch(/paused: every project\n/);
  expect(out).toMatch(new RegExp(`paused: ${home.other} until `));
  const json = await home.json("up");
  expect(json).toMatchObject({ at: home.now, store: { isThere: true }, alive: [{ id: ids.alive }], clients: [] });
});

it("[CL20] it says how to connect a client where none is, and what comes next where one is", async () => {
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

it("[CL132] in a terminal it draws over itself until Ctrl-C, fits the window, and restores the cursor", async () => {
  const home = aSeededHome();
  const steps = [() => home.alive.delete(100), () => undefined];
  const ran = await home.shimWith({ ...live(steps), isTty: true, size: small }, "up");
  expect(ran.code).toBe(0);
  const pictures = ran.out.split("\u001b[H").slice(1);
  expect(pictures).toHaveLength(3);
  expect(pictures[0]).toContain("Alive (1)");
  expect(pictures[1]).toContain("Died unfinished (3)");
  expect(pictures[1]).toContain("Ctrl-C ends this view");
  for (const picture of pictures) {
    // eslint-disable-next-line no-control-regex -- ESC begins a colour
    const lines = picture.replaceAll(/\u001b\[[\d;?]*[a-zA-Z]/g, "").split("\n");
    expect(lines.length).toBeLessThanOrEqual(8);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
  }
  expect(ran.out.startsWith("\u001b[?25l")).toBe(true);
  expect(ran.out.endsWith("\u001b[?25h")).toBe(true);
});

it("[CL133] outside a terminal it prints a line for each change, and nothing while nothing changes", async () => {
  const home = aSeededHome();
  const steps = [
    () => void (home.now += 40_000),
    () => home.alive.delete(100),
    () => addSession(home, { id: "dddd", pid: 500 }),
    () => home.runtime.store.write((sql) => sql.run("DELETE FROM sessions WHERE id = 'dddd'")),
  ];
  const ran = await home.shimWith(live(steps), "up");
  expect(ran.code).toBe(0);
  const lines = ran.out.trim().split("\n");
  const time = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /;
  // What is there at the beginning has no time; changes have.
  expect(lines.map((line) => time.test(line))).toEqual([false, false, false, false, true, true, true]);
  expect(lines.map((line) => line.replace(time, ""))).toEqual([
    expect.stringMatching(/^aaaa1111.* alive, busy, risk 0 safe, 1 checkpoint/),
    expect.stringMatching(/^bbbb.* incomplete \(killed; shim resume bbbb/),
    expect.stringMatching(/^bbbb.* incomplete/),
    expect.stringMatching(/^cccc4444.* finished/),
    expect.stringMatching(/^aaaa1111.* incomplete/),
    expect.stringMatching(/^dddd incomplete/),
    "dddd is gone",
  ]);
});

it("[CL133] outside a terminal, with a store but nothing in it, it says so once and waits", async () => {
  const home = aCliHome();
  home.runtime.store.write((sql) => pause(sql, home.now, home.now + 1, null));
  home.now += 10;
  const ran = await home.shimWith(live([() => undefined]), "up");
  expect(ran.out.match(/No session is running/g)).toHaveLength(1);
  expect(ran.out).toMatch(/^SHIM at /);
  expect(ran.out).toMatch(/^No session is running/m);
});

it("[CL134] when the launcher is gone the view ends with 0", async () => {
  const home = aSeededHome();
  for (const isTty of [true, false]) {
    let parent = 4_000;
    let looks = 0;
    const wait = async (): Promise<void> => {
      looks++;
      if (looks === 2) parent = 1;
      if (looks > 2) throw new Error("it did not end");
    };
    const io = { isTty, wait, parentPid: () => parent, interrupted: () => new AbortController().signal };
    const ran = await home.shimWith(io, "up");
    expect([isTty, ran.code, looks]).toEqual([isTty, 0, 2]);
    expect(ran.out.endsWith("\u001b[?25h")).toBe(isTty);
  }
});

it("[CL135] a store that is busy for a moment is shown, and does not end the view; a bug does", async () => {
  const home = aSeededHome();
  let error: Error | null = null;
  const read: typeof home.runtime.store.read = (body, empty) => {
    if (error) throw error;
    return home.runtime.store.read(body, empty);
  };
  const store = Object.create(home.runtime.store, {
    read: { value: read },
    close: { value: () => undefined },
  }) as typeof home.runtime.store;
  const makeRuntime: Io["makeRuntime"] = async () => ({
    runtime: { ...home.runtime, store },
    driver: "node:sqlite",
    fallbackReason: null,
  });
  const steps = [
    () => void (error = new StoreError("store_locked", "another process is writing")),
    () => void (error = null),
  ];
  const ran = await home.shimWith({ ...live(steps), makeRuntime }, "up");
  expect(ran.code).toBe(0);
  expect(ran.out).toContain("another process is writing");
  const bug = await home.shimWith(
    { ...live([() => void (error = new Error("oops"))]), makeRuntime, isTty: true },
    "up",
  );
  expect(bug.code).toBe(1);
  expect(bug.out.endsWith("\u001b[?25h")).toBe(true);
});

it("[CL68] shim up and shim sessions show which chat waits for its user, for what and since when", async () => {
  const home = aSeededHome();
  const wait = { for: "permission", since: home.now } as const;
  home.runtime.store.write((sql) => sessions.setWaiting(sql, ids.alive, wait));
  home.now += 120_000;
  expect((await home.shim("up --once")).out).toContain("work of aaaa  waits for your permission (2 min), saved");
  expect((await home.shim("sessions")).out).toMatch(/^aaaa1111\S* +waiting /m);
  expect((await home.shim("sessions show", ids.alive)).out).toContain("waiting: for the user (permission) since ");
  home.alive.clear();
  expect((await home.shim("up --once")).out).not.toContain("waits for your");
});
