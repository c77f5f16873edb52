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
import { someReadings } from "#harness/machine/session-values.ts";
import { given } from "#harness/coordinator/state-calls.ts";

it("the view shows sessions with risk and last checkpoint, what died, notices and pauses", async () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => {
    sessions.update(sql, ids.alive, { readings: someReadings({ contextFill: 0.9 }, home.now) });
    notices.add(sql, home.now, "store_damaged", "the store was damaged");
    pause(sql, home.now, null, null);
  });
  expect(await home.shim("up --once")).toMatchObject(
    printed(
      /Alive \(1\)\n {2}aaaa1111 .* works, saved 60 s ago, risk 0.3 warning \(contextFill\), context 90 %/,
      /Can come back \(2\)/,
      "bbbb2222  ~/project  work of bbbb  died (killed), 60 s ago: shim resume bbbb2222",
      /Ended in the last day\n {2}cccc4444 .* ended \(finished\), 60 s ago/,
      "the store was damaged",
      "paused: every project\n",
    ),
  );
  const { sessions: all } = (await home.json("up")) as { sessions: { id: string }[] };
  expect(all.map(({ id }) => id)).toEqual([ids.alive, ids.dead, ids.elsewhere, ids.finished]);
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
  seed(home);
  expect((await home.shim("up --once")).out).not.toContain("Team");
  atWork(home);
  expect((await home.shim("up --once")).out).toEqual(
    holding(
      "Team (this machine)\n  c0ffee11  claude-code  here  idle\n",
      "tasks: 1 queued, 1 under way, 0 done, 2 in all",
      / test {2}running by c0ffee11: half of it\n/,
      "src/parser/**  reserved by c0ffee11 for 0 s",
    ),
  );
});

it("a coordinator that does not answer is named, and the sessions are shown", async () => {
  const home = aSeededHome();
  home.join("http://127.0.0.1:9");
  expect(await home.shim("up --once")).toMatchObject(
    printed(/Team: http:\/\/127\.0\.0\.1:9, workspace team did not answer: /, "Alive (1)"),
  );
});
