import type { BrowserContextOptions } from "playwright-core";
import { afterAll, expect, it } from "vitest";
import { addSession, aCliHome } from "#harness/machine/cli-home.ts";
import { patience } from "#harness/machine/programs.ts";
import { aFleetPage, closeBrowser, go, openHome } from "#harness/web/browser.ts";

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
  await served.stop();
  await page.getByText("not live").waitFor();
  const height = `document.querySelector(".live").getBoundingClientRect().height`;
  await expect.poll(() => page.evaluate(height), patience).toBeGreaterThan(12);
});

it("a long answer of the timeline can be opened, and is then as it was written", async () => {
  const home = aCliHome();
  home.alive.add(900);
  const answer = `## Result\n\n${"| a.ts | 1 |\n".repeat(60)}\n**Which of the two do you want first: A or B?**`;
  const entries = [
    { kind: "prompt", text: "compare them" },
    { kind: "assistant", text: answer },
  ] as const;
  addSession(home, { id: "aaaa1111-0000-4000-8000-000000000001", pid: 900, entries });
  const { page } = await openHome(home);
  await go(page, "chat/aaaa1111-0000-4000-8000-000000000001", "Timeline");
  const said = page.locator(".said");
  expect(await said.locator("div").isVisible()).toBe(false);
  await said.locator("summary").click();
  expect(await said.locator("div").innerText()).toBe(answer);
});
