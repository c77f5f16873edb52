import type { Page } from "playwright-core";
import { afterAll, expect, it } from "vitest";
import { aCliHome, addSession, type CliHome } from "#harness/machine/cli-home.ts";
import { closeBrowser, go, openHome } from "#harness/web/browser.ts";
import { fleetIds, seedFleet, seedTeam, submit } from "#harness/web/seeds.ts";

afterAll(closeBrowser);

/** A machine with 500 chats and 50,000 tasks. */
function aLargeHome(): CliHome {
  const home = aCliHome();
  seedFleet(home);
  const team = seedTeam(home, fleetIds.works, 1_002);
  for (let at = 0; at < 496; at++) {
    home.now += 1;
    home.alive.add(5_000 + at);
    const id = `aaaa${String(at).padStart(4, "0")}-0000-4000-8000-000000000009`;
    addSession(home, { id, pid: 5_000 + at, title: `Chat ${at}` });
  }
  const batch = Array.from({ length: 1_000 }, (_, at) => ({ type: `type-${at % 20}`, priority: 1 }));
  for (let n = 0; n < 50; n++) submit(team.coordinator, batch);
  return home;
}

/** Calls that the page has made since the last look, in their order. */
function watchCalls(page: Page): () => string[] {
  const names: string[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith("/api/call")) names.push((request.postDataJSON() as { name: string }).name);
  });
  return () => names.splice(0);
}

const entries = 'document.querySelectorAll("main li, main tbody tr").length';

it("with 500 chats and 50,000 tasks a view asks once for each part that it shows, a search asks nothing, and lists begin with few entries @night", async () => {
  const { page, served } = await openHome(aLargeHome());
  // Without hints each call is one of a view.
  await page.route("**/api/live", (route) => route.abort());
  await page.getByText("497 at work").waitFor();
  await page.goto("about:blank");
  const calls = watchCalls(page);
  await page.goto(served.origin);
  await page.getByText("497 at work").waitFor();
  expect(calls()).toEqual(["page.fleet"]);
  // Two need the user, and 20 of the many are shown; what ended is folded.
  expect(await page.evaluate(entries)).toBeLessThanOrEqual(30);
  await page.getByLabel("Search chats").fill("aaaa0077");
  await page.getByText("1 at work").waitFor();
  expect(calls()).toEqual([]);
  await go(page, "tasks");
  const list = page.locator("section[aria-labelledby=list] tbody");
  await list.getByText("running").waitFor();
  await page.getByText(/50,0\d\d tasks/).waitFor();
  const first = calls();
  expect(first.filter((name) => name !== "tasks.list").toSorted()).toEqual(["tasks.progress", "tasks.stats"]);
  // A page of the operation examines 1,000 tasks, and all are examined for those that run.
  expect(first.filter((name) => name === "tasks.list").length).toBeLessThanOrEqual(51);
  await page.getByLabel("State").selectOption("queued");
  await list.getByText("type-19").first().waitFor();
  expect(calls()).toEqual(["tasks.list"]);
  expect(await list.getByRole("row").count()).toBe(50);
});

/** Time in ms from an event to the frame that shows its effect, in the page itself; the best of three. */
async function interaction(page: Page, act: string): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 3; round++) {
    const time: number = await page.evaluate(`new Promise((done) => {
      const began = performance.now();
      ${act};
      requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
    })`);
    times.push(time);
  }
  return Math.min(...times);
}

/** For `npm run bench -- page`: figures of this machine, which no test holds to a bound. */
it.runIf(process.env["SHIM_PAGE_TIMES"] === "1")(
  "times of the page with 500 chats and 50,000 tasks @night",
  async () => {
    const { page } = await openHome(aLargeHome());
    await page.getByText("497 at work").waitFor();
    const paints: number[] = [];
    const fleets: number[] = [];
    for (let round = 0; round < 3; round++) {
      await page.reload();
      await page.getByText("497 at work").waitFor();
      fleets.push(await page.evaluate("performance.now()"));
      const first = `performance.getEntriesByType("paint").find(({ name }) => name === "first-contentful-paint").startTime`;
      paints.push(await page.evaluate(first));
    }
    const [paint, fleet] = [Math.min(...paints), Math.min(...fleets)];
    const search = await interaction(
      page,
      `const field = document.getElementById("search"); field.value = field.value ? "" : "Chat 7"; field.dispatchEvent(new Event("input", { bubbles: true }))`,
    );
    const view = await interaction(page, `location.hash = location.hash === "#/tasks" ? "#/fleet" : "#/tasks"`);
    for (const [name, ms] of Object.entries({ paint, fleet, search, view }))
      console.log(`page ${name} ${ms.toFixed(1)} ms`);
  },
);
