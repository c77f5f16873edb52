import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, expect, it } from "vitest";
import { given } from "#harness/coordinator/peers.ts";
import { aCliHome, addSession } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import { anUndoRig } from "#harness/machine/cli-rigs.ts";
import { aFleetPage, closeBrowser, go, openHome, openTab } from "#harness/web/browser.ts";
import { failAll, fleetIds, submit } from "#harness/web/seeds.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

afterAll(closeBrowser);

async function confirm(page: Page, opener: string, verb: string): Promise<string> {
  await page.getByRole("button", { name: opener, exact: true }).first().click();
  const dialog = page.getByRole("dialog");
  const text = (await dialog.textContent()) ?? "";
  await dialog.getByRole("button", { name: verb }).click();
  await dialog.waitFor({ state: "detached" });
  return text;
}

it("the page follows what other processes write, without a reload; a session is forgotten only after the question, and its page says that it is gone", async () => {
  const { home, page } = await aFleetPage();
  await page.getByText("live", { exact: true }).waitFor();
  home.alive.add(1_009);
  const id = "99990000-0000-4000-8000-000000000009";
  addSession(home, { id, pid: 1_009, title: "A new chat" });
  await page.getByText("A new chat").waitFor();
  home.runtime.store.write((sql) => reportEnd(sql, home.runtime, id, "other"));
  await page.getByText("2 ended in the last day").click();
  await page.getByText("A new chat").waitFor();
  await go(page, `chat/${fleetIds.died}`);
  await page.getByRole("button", { name: "About" }).click();
  expect(await confirm(page, "Forget", "Forget")).toContain("This cannot be undone.");
  expect(home.runtime.store.read((sql) => sessions.get(sql, fleetIds.died), null)).toBe(null);
  await page.getByRole("alert").waitFor();
});

it("replay, discard and cancel show their effect, ask once, and change the task @night", async () => {
  const { team, page } = await aFleetPage();
  const get = (task: number) => given(team.coordinator.call("tasks.get", { task }));
  const [first = 0, second = 0] = team.dead;
  await go(page, `task/${first}`);
  expect(await confirm(page, "Replay", "Replay")).toContain("may happen a second time");
  expect(get(first).state).toBe("queued");
  await page.getByRole("button", { name: "Cancel task" }).waitFor();
  expect(await confirm(page, "Cancel task", "Cancel task")).toContain("No chat will start it.");
  expect(get(first).state).toBe("cancelled");
  await go(page, `task/${second}`, `Task #${second}`);
  await page.getByRole("button", { name: "Discard" }).click();
  await page.getByRole("button", { name: "Leave it" }).click();
  expect(get(second).reason).toBe("failed");
  expect(await confirm(page, "Discard", "Discard")).toContain("can never be replayed");
  expect(get(second).reason).toBe("discarded");
});

it("dead letters are replayed by filter, and the rest stays dead @night", async () => {
  const { home, team, page } = await aFleetPage();
  const mail = { type: "mail", priority: 9 };
  for (let n = 0; n < 60; n++) submit(team.coordinator, [mail]);
  failAll(team.coordinator, team.self, 60, "no route");
  await go(page, "dead", "63 dead tasks match");
  await page.getByLabel("Type").fill("mail");
  // What is half typed stays when the page reads again.
  submit(team.coordinator, [mail]);
  failAll(team.coordinator, team.self, 1, "no route");
  // The page hears of what another process commits when that stores something of a session, too.
  addSession(home, { id: "99990000-0000-4000-8000-000000000009", title: "A new chat" });
  await page.getByText("64 dead tasks match").waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("61 dead tasks match").waitFor();
  expect(await confirm(page, "Replay all of these", "Replay all of these")).toContain("61 × mail");
  await page.getByText("No dead task matches.").waitFor();
  expect(given(team.coordinator.call("tasks.list", { state: "dead", limit: 200 })).tasks).toHaveLength(3);
});

it("the chat's view shows what its last turn changed, asks, and takes it back @night", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ "a.txt": "one\n" }, { home });
  const work = (): void => write(home.project, { "a.txt": "two\n", "new.txt": "new\n" });
  await rig.turn("rewrite it", { tool: "Bash", work });
  const { page } = await openHome(home);
  await page.getByText("rewrite it").first().waitFor();
  await go(page, `chat/${rig.claude.session}`);
  await page.getByRole("button", { name: "About" }).click();
  await page.getByText("What its last turn changed, to take it back").click();
  await page.getByText("new.txt: is deleted").waitFor();
  expect(await page.getByText("-two").textContent()).toContain("+one");
  expect(await confirm(page, "Take back", "Take back")).toContain("2 files");
  expect(readFileSync(join(home.project, "a.txt"), "utf8")).toBe("one\n");
  expect(existsSync(join(home.project, "new.txt"))).toBe(false);
  await page.getByText("Nothing of it can be put back.").waitFor();
});

it("the token leaves the address at once, no cookie is set, and the link does not work in another browser @night", async () => {
  const { served, link, page } = await aFleetPage();
  expect(page.url()).toBe(`${served.origin}/`);
  expect(await page.context().cookies()).toEqual([]);
  expect(await page.evaluate("localStorage.length")).toBe(0);
  await page.reload();
  await page.getByText("Payments").waitFor();
  const other = await openTab(link);
  await other.page.getByText("This page is not signed in").waitFor();
  expect(await other.page.textContent("body")).not.toContain("Payments");
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("This page is not signed in").waitFor();
  await page.reload();
  await page.getByText("This page is not signed in").waitFor();
});

it("markup, scripts and marks of direction in the text of a chat are shown, not run, and the policy stops what would run @night", async () => {
  const home = aCliHome();
  home.alive.add(1_001);
  const attack = `<img src=x onerror="document.title='owned'"><script>document.title="owned"</script>\u202Etxt.exe`;
  addSession(home, { id: fleetIds.works, pid: 1_001, title: attack, entries: [{ kind: "prompt", text: attack }] });
  const { page, faults } = await openHome(home);
  const shown = page.getByRole("link", { name: "onerror" });
  expect(await shown.textContent()).toContain("<script>document.title");
  expect(await shown.textContent()).not.toContain("\u202E");
  await shown.click();
  await page.getByRole("region", { name: "Conversation" }).getByText("<script>document.title").waitFor();
  expect(await page.locator("main img, main script").count()).toBe(0);
  expect(await page.title()).not.toBe("owned");
  expect(faults).toEqual([]);
  for (const code of [
    `document.querySelector("main").innerHTML = "<b>x</b>"`,
    `trustedTypes.createPolicy("mine", {})`,
    `await fetch("https://example.com/")`,
  ])
    await expect(page.evaluate(`(async () => { ${code} })()`), code).rejects.toThrow("TypeError");
});
