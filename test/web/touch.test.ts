import type { BrowserContextOptions } from "playwright-core";
import { afterAll, expect, it } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import { fleetIds } from "#harness/web/seeds.ts";
import { aFleetPage, closeBrowser, go } from "#harness/web/browser.ts";

afterAll(closeBrowser);

const phone: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** Height of each thing to tap that is lower than 44 px, with its words. */
const low = `[...document.querySelectorAll("a, button, input, summary, select, textarea")]
  .filter((one) => one.offsetParent && !one.classList.contains("skip") && one.type !== "checkbox")
  .map((one) => [one.textContent.slice(0, 30), one.getBoundingClientRect().height])
  .filter(([, height]) => height < 44)`;

it("on a touch screen each thing to tap is at least 44 px high, in each view", async () => {
  const { page } = await aFleetPage(phone);
  for (const [path, text] of [
    ["fleet", "Needs you"],
    [`chat/${fleetIds.works}`, "index new documents"],
    ["day", "hours"],
    ["tasks", "Tasks"],
    ["dead", "Dead"],
    ["messages", "Messages"],
    ["plan", "Plan"],
    ["health", "Health"],
  ] as const) {
    await go(page, path, text);
    expect([path, await page.evaluate(low)]).toEqual([path, []]);
  }
  await go(page, "fleet", "Needs you");
  expect(await page.getByPlaceholder("Search chats").getAttribute("placeholder")).toBe("Search chats");
});

it("a page that is not live says so in words, also on a narrow screen", async () => {
  const { page, served } = await aFleetPage(phone);
  await page.getByText("live", { exact: true }).waitFor();
  await served.stop();
  await page.getByText("not live", { exact: true }).waitFor();
  await page.getByText(/^Not live since .*: shim up --web does not answer\./).waitFor();
  const height = `document.querySelector(".live").getBoundingClientRect().height`;
  await expect.poll(() => page.evaluate(height), patience).toBeGreaterThan(12);
});
