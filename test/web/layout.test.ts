import type { Page } from "playwright-core";
import { afterAll, expect, it } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { checkpoints } from "#src/store/session-tables.ts";
import { aCliHome, addSession, type CliHome } from "#harness/machine/cli-home.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { closeBrowser, openTab } from "#harness/web/browser.ts";
import { fleetIds, seedFleet } from "#harness/web/fleet-seed.ts";
import { servePage } from "#harness/web/live-page.ts";

afterAll(closeBrowser);

async function open(page: Page, path: string, text: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(`#/${path}`)}`);
  await page.getByText(text).first().waitFor();
}

function seeded(): CliHome {
  const home = aCliHome();
  seedFleet(home);
  return home;
}

const longTitle = "Payments: retry on timeout, then tell the customer, and never charge twice for the same order";

it("at 375 px a long state, title and path stay inside", async () => {
  const home = seeded();
  home.runtime.store.write((sql) => {
    sql.run("UPDATE sessions SET title = ?, project = ?", longTitle, `/home/somebody/${"a-long-name/".repeat(8)}app`);
    sessions.setWaiting(sql, fleetIds.works, { for: "permission", since: home.now });
  });
  const served = await servePage(home, { isBuilt: true });
  const { page } = await openTab(served.link(), { viewport: { width: 375, height: 700 } });
  for (const [path, text] of [
    ["fleet", "Waits for you"],
    [`chat/${fleetIds.died}`, "Timeline, newest first"],
    [`chat/${fleetIds.works}`, "Timeline, newest first"],
  ] as const) {
    await open(page, path, text);
    expect([path, await page.evaluate("document.documentElement.scrollWidth")]).toEqual([path, 375]);
  }
});

it("seven of eight chats are above the fold of 1,440 x 900, each with its state once", async () => {
  const home = seeded();
  for (let n = 0; n < 4; n++) {
    home.alive.add(2_000 + n);
    addSession(home, { id: `eeee000${n}`, pid: 2_000 + n, title: `work ${n}` });
  }
  const served = await servePage(home, { isBuilt: true });
  const { page } = await openTab(served.link(), { viewport: { width: 1_440, height: 900 } });
  await page.getByText("work 3").waitFor();
  const bottoms = await page.evaluate(
    `[...document.querySelectorAll(".card")].map((one) => Math.round(one.getBoundingClientRect().bottom))`,
  );
  expect((bottoms as number[]).filter((bottom) => bottom <= 900).length).toBeGreaterThanOrEqual(7);
  const works = page.getByRole("region", { name: /^Works/ });
  expect(await works.getByText("works", { exact: true }).count()).toBe(0);
});

it("a chat that died has its command in the fleet and in its view, with the main button", async () => {
  const served = await servePage(seeded(), { isBuilt: true });
  const { page } = await openTab(served.link());
  const died = page.locator(".card.died").first();
  await died.waitFor();
  expect(await died.textContent()).toMatch(/shim resume \w{8}/);
  await open(page, `chat/${fleetIds.died}`, "Timeline, newest first");
  expect(await page.locator("main button.main", { hasText: "Copy" }).count()).toBe(1);
});

it("tasks that only wait are listed at once, and an empty list says its filter", async () => {
  const home = seeded();
  const coordinator = home.coordinator();
  given(coordinator.call("tasks.submit", { tasks: [{ type: "test" }, { type: "lint" }] }));
  const served = await servePage(home, { isBuilt: true });
  const { page } = await openTab(served.link());
  await open(page, "tasks", "2 queued");
  await page.getByRole("link", { name: "#2" }).waitFor();
  await page.getByLabel("State").selectOption("running");
  await page.getByText("No task is running now.").waitFor();
});

it("saves that follow each other are one entry of the timeline, which opens", async () => {
  const home = seeded();
  home.runtime.store.write((sql) => {
    const [saved] = checkpoints.select(sql, "WHERE session = ?", fleetIds.died);
    if (!saved) return;
    for (const n of [1, 2])
      checkpoints.insert(sql, { ...saved, seq: saved.seq + 100 * n, id: `${saved.id}-${n}`, at: home.now + n });
  });
  const served = await servePage(home, { isBuilt: true });
  const { page } = await openTab(served.link());
  await open(page, `chat/${fleetIds.died}`, "Timeline, newest first");
  await page.getByText(/^\d earlier saves?$/).click();
  expect(await page.locator(".timeline details[open] li").count()).toBeGreaterThanOrEqual(1);
});
