import { join } from "node:path";
import type { Page, Request } from "playwright-core";
import { afterAll, expect, it } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { invented, writeSession } from "#harness/clients/broken-sessions.ts";
import { aCliHome, addSession, type CliHome } from "#harness/machine/cli-home.ts";
import { closeBrowser, openTab } from "#harness/web/browser.ts";
import { seedExperiments, stateOf } from "#harness/web/experiment-seed.ts";
import { fleetIds, seedFleet } from "#harness/web/fleet-seed.ts";
import { servePage } from "#harness/web/live-page.ts";
import { failAll, seedTeam, submit, type SeededTeam } from "#harness/web/team-seed.ts";

afterAll(closeBrowser);

interface Rig {
  readonly home: CliHome;
  readonly team: SeededTeam;
  readonly page: Page;
  readonly go: (path: string) => Promise<void>;
}

async function aRig(): Promise<Rig> {
  const home = aCliHome();
  seedFleet(home);
  const team = seedTeam(home, fleetIds.works, 1_002);
  const served = await servePage(home, { isBuilt: true });
  const { page } = await openTab(served.link());
  await page.getByText("Payments").waitFor();
  const go = (path: string): Promise<void> => page.evaluate(`location.hash = ${JSON.stringify(`#/${path}`)}`);
  return { home, team, page, go };
}

async function confirm(page: Page, opener: string, verb: string): Promise<string> {
  await page.getByRole("button", { name: opener, exact: true }).first().click();
  const dialog = page.getByRole("dialog");
  const text = (await dialog.textContent()) ?? "";
  await dialog.getByRole("button", { name: verb }).click();
  await dialog.waitFor({ state: "detached" });
  return text;
}

it("replay, discard and cancel show their effect, ask once, and change the task", async () => {
  const { team, page, go } = await aRig();
  const stateOf = (task: number): string => given(team.coordinator.call("tasks.get", { task })).state;
  const [first = 0, second = 0] = team.dead;
  await go(`task/${first}`);
  expect(await confirm(page, "Replay", "Replay")).toContain("may happen a second time");
  expect(stateOf(first)).toBe("queued");
  await page.getByRole("button", { name: "Cancel task" }).waitFor();
  expect(await confirm(page, "Cancel task", "Cancel task")).toContain("No chat will start it.");
  expect(stateOf(first)).toBe("cancelled");
  await go(`task/${second}`);
  await page.getByText(`Task #${second}`).waitFor();
  await page.getByRole("button", { name: "Discard" }).click();
  await page.getByRole("button", { name: "Leave it" }).click();
  expect(given(team.coordinator.call("tasks.get", { task: second })).reason).toBe("failed");
  expect(await confirm(page, "Discard", "Discard")).toContain("can never be replayed");
  expect(given(team.coordinator.call("tasks.get", { task: second })).reason).toBe("discarded");
});

it("a lease is released and a chat drained from the page", async () => {
  const { team, page, go } = await aRig();
  await go("files");
  await page.getByText("parser.ts").waitFor();
  expect(await confirm(page, "Release", "Force release")).toContain("loses it at once");
  expect(given(team.coordinator.call("leases.list", {})).leases).toHaveLength(1);
  await go(`chat/${team.self.chat}`);
  expect(await confirm(page, "Drain", "Drain")).toContain("gets no new ones");
  expect(given(team.coordinator.call("chats.get", { chat: team.self.chat })).status).toBe("draining");
});

it("a session is forgotten only after the question, and its page says that it is gone", async () => {
  const { home, page, go } = await aRig();
  await go(`chat/${fleetIds.died}`);
  expect(await confirm(page, "Forget", "Forget")).toContain("This cannot be undone.");
  expect(home.runtime.store.read((sql) => sessions.get(sql, fleetIds.died), null)).toBe(null);
  await page.getByRole("alert").waitFor();
});

it("experiments are stopped, taken back, switched off and allowed, each after one question", async () => {
  const { home, page, go } = await aRig();
  const { running, kept } = seedExperiments(home);
  await go("experiments");
  await page.getByText("2 × task stalls").waitFor();
  expect(await page.getByRole("row", { name: "300000 -> 250000" }).textContent()).toContain("canary");
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await page.getByRole("button", { name: "Leave it" }).click();
  expect(stateOf(home, running)).toBe("canary");
  expect(await confirm(page, "Stop", "Stop")).toContain("checkpoint.everyMs = 300000 again at once");
  expect(stateOf(home, running)).toBe("stopped");
  expect(await confirm(page, "Revert", "Revert")).toContain("config.json gets checkpoint.everyToolCalls = 10");
  expect(stateOf(home, kept)).toBe("rolled_back");
  await page.getByRole("button", { name: "Revert" }).waitFor({ state: "detached" });
  expect(await confirm(page, "Stop all", "Stop all")).toContain("None starts until you allow it");
  await page.getByText("Switched off").waitFor();
  await confirm(page, "Allow", "Allow");
  await page.getByText("Experiments may start.").first().waitFor();
});

it("dead letters are replayed by filter, and the rest stays dead", async () => {
  const { team, page, go } = await aRig();
  submit(
    team.coordinator,
    Array.from({ length: 60 }, () => ({ type: "mail", priority: 9 })),
  );
  failAll(team.coordinator, team.self, 60, "no route");
  await go("dead");
  await page.getByText("63 dead tasks match").waitFor();
  await page.getByLabel("Type").fill("mail");
  // What is half typed stays when the page reads again.
  submit(team.coordinator, [{ type: "mail", priority: 9 }]);
  failAll(team.coordinator, team.self, 1, "no route");
  await page.getByText("64 dead tasks match").waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("61 dead tasks match").waitFor();
  expect(await confirm(page, "Replay all of these", "Replay all of these")).toContain("61 × mail");
  await page.getByText("No dead task matches.").waitFor();
  expect(given(team.coordinator.call("tasks.list", { state: "dead", limit: 200 })).tasks).toHaveLength(3);
});

it("the page follows what other processes write, without a reload", async () => {
  const { home, page } = await aRig();
  await page.getByText("live", { exact: true }).waitFor();
  home.alive.add(1_009);
  addSession(home, { id: "99990000-0000-4000-8000-000000000009", pid: 1_009, title: "A new chat" });
  await page.getByText("A new chat").waitFor();
  home.runtime.store.write((sql) => sessions.end(sql, home.now, "99990000-0000-4000-8000-000000000009", "other"));
  await page.getByText("2 ended in the last day").waitFor();
});

/** Loads the page again, with timers that {@link askedDuring} can move, and lets it read what it reads at first. */
async function withOwnClock(page: Page): Promise<void> {
  await page.clock.install();
  await page.reload();
  await page.getByText("live", { exact: true }).waitFor();
  // A page that polls never gets there.
  while ((await askedDuring(page, "10:00")).length > 0);
}

/** The page's own timers pass so long. @returns the addresses that the page asked for meanwhile */
async function askedDuring(page: Page, time: string): Promise<string[]> {
  const asked: string[] = [];
  const note = (request: Request): void => void asked.push(request.url());
  page.on("request", note);
  await page.clock.runFor(time);
  page.off("request", note);
  return asked;
}

it("a page asks nothing while nothing changes", async () => {
  const { page } = await aRig();
  await withOwnClock(page);
  expect(await askedDuring(page, "01:00:00")).toEqual([]);
});

it("a hidden page reads nothing until it is shown again @night", async () => {
  const { home, page } = await aRig();
  await withOwnClock(page);
  await page.evaluate(`Object.defineProperty(document, "hidden", { value: true, configurable: true, writable: true })`);
  const network = await page.context().newCDPSession(page);
  await network.send("Network.enable");
  const hint = new Promise((resolve) => network.once("Network.dataReceived", resolve));
  home.runtime.store.write((sql) => sessions.rename(sql, fleetIds.works, "Renamed"));
  await hint;
  expect(await askedDuring(page, "01:00:00")).toEqual([]);
  await page.evaluate(`document.hidden = false; document.dispatchEvent(new Event("visibilitychange"))`);
  await page.getByText("Renamed").waitFor();
});

it("a session that its client cannot continue shows why, and the command that continues it", async () => {
  const home = aCliHome();
  const session = invented("codex", home.project);
  writeSession(home.folder, session, [...session.rows, ...session.refused(1, 400), ...session.refused(2, 400)]);
  addSession(home, { id: session.id, client: "codex", pid: 77, transcriptPath: join(home.folder, session.file) });
  const served = await servePage(home, { isBuilt: true });
  const { page } = await openTab(served.link());
  await page.getByText("work of 0a00").first().click();
  await page.getByText("Its client cannot continue it: poisoned.").waitFor();
  await page.getByText(`rescue ${session.id.slice(0, 8)}`).waitFor();
});
